/** Against the kernel: what is computed from manifest and upper must be what a full scan of the mounted overlay finds. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  lchownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import {
  comparedReads,
  makeLower,
  makeOverlay,
  scanned,
  skipOverlays as skip,
  strip,
} from '../../test/support/overlay.ts';
import { makedev } from '../core/rdev.ts';
import { mknod, setTimes } from '../sys/metadata.ts';
import { removeXattr, setXattr } from '../sys/xattr.ts';
import { formatBits } from './entry.ts';
import { compileExcludes } from './exclude.ts';
import { readOverlay } from './overlay-upper.ts';

interface Case {
  readonly name: string;
  readonly change: (root: string) => void;
  /** Paths whose content has to be read; all others must not be. */
  readonly reads?: readonly string[];
}

const cases: readonly Case[] = [
  { name: 'nothing', change: () => {} },
  { name: 'write', change: (root) => writeFileSync(`${root}/d1/a`, 'new'), reads: ['/d1/a'] },
  { name: 'same size, same time', change: rewriteUnnoticed, reads: ['/d1/a'] },
  { name: 'append', change: (root) => appendFileSync(`${root}/d1/a`, 'more'), reads: ['/d1/a'] },
  { name: 'truncate', change: (root) => truncateSync(`${root}/d1/big`, 7), reads: ['/d1/big'] },
  { name: 'grow by a hole', change: (root) => truncateSync(`${root}/d1/a`, 100_000), reads: ['/d1/a'] },
  { name: 'chmod', change: (root) => chmodSync(`${root}/d1/a`, 0o4711) },
  { name: 'chown', change: (root) => lchownSync(`${root}/d1/a`, 12, 13) },
  { name: 'chown a symlink', change: (root) => lchownSync(`${root}/link`, 12, 13) },
  { name: 'set a time', change: (root) => setTimes(`${root}/d1/a`, { mtime: 7, mtimeNsec: 8 }) },
  { name: 'set an xattr', change: (root) => setXattr(`${root}/d1/a`, 'user.x', 'y') },
  { name: 'remove an xattr', change: (root) => removeXattr(`${root}/d2/x`, 'user.colour') },
  { name: 'an overlay xattr', change: (root) => setXattr(`${root}/d1/a`, 'trusted.overlay.opaque', 'y') },
  { name: 'chmod a directory', change: (root) => chmodSync(`${root}/d1`, 0o700) },
  { name: 'rename a file', change: (root) => renameSync(`${root}/d1/a`, `${root}/d1/z`) },
  {
    name: 'rename a file elsewhere after chmod',
    change: (root) => {
      chmodSync(`${root}/d1/a`, 0o600);
      renameSync(`${root}/d1/a`, `${root}/d2/z`);
    },
  },
  { name: 'rename a directory beside', change: (root) => renameSync(`${root}/d1/s`, `${root}/d1/t`) },
  { name: 'rename a directory elsewhere', change: (root) => renameSync(`${root}/d1/s`, `${root}/d2/t`) },
  {
    name: 'rename directories within renamed directories',
    change: (root) => {
      renameSync(`${root}/d1/s`, `${root}/d2/t`);
      renameSync(`${root}/d2`, `${root}/d3`);
      renameSync(`${root}/d3/t/deep`, `${root}/d3/t/shallow`);
      chmodSync(`${root}/d3/t/shallow/f`, 0o600);
    },
  },
  {
    name: 'swap two directories',
    change: (root) => {
      renameSync(`${root}/d1`, `${root}/x`);
      renameSync(`${root}/d2`, `${root}/d1`);
      renameSync(`${root}/x`, `${root}/d2`);
    },
  },
  { name: 'unlink', change: (root) => unlinkSync(`${root}/d1/a`) },
  { name: 'remove a directory', change: (root) => rmSync(`${root}/d1`, { recursive: true }) },
  {
    name: 'remove a directory and make it again',
    change: (root) => {
      rmSync(`${root}/d1`, { recursive: true });
      mkdirSync(`${root}/d1`);
      writeFileSync(`${root}/d1/b`, 'b');
    },
    reads: ['/d1/b'],
  },
  {
    name: 'a file where a directory was, a directory where a file was',
    change: (root) => {
      rmSync(`${root}/d1`, { recursive: true });
      writeFileSync(`${root}/d1`, 'file');
      unlinkSync(`${root}/d2/x`);
      mkdirSync(`${root}/d2/x`);
    },
    reads: ['/d1'],
  },
  { name: 'link', change: (root) => linkSync(`${root}/d1/a`, `${root}/d2/new`) },
  { name: 'symlink', change: (root) => symlinkSync('somewhere', `${root}/d2/new`) },
  { name: 'device', change: (root) => mknod(`${root}/d2/n`, formatBits.char | 0o600, makedev(5, 1)) },
  {
    name: 'write to one name of three',
    change: (root) => writeFileSync(`${root}/hard1`, 'changed'),
    reads: ['/d1/hard2'],
  },
  { name: 'chmod one name of three', change: (root) => chmodSync(`${root}/hard1`, 0o600) },
  { name: 'unlink one name of three', change: (root) => unlinkSync(`${root}/hard1`) },
  {
    name: 'write to one name of three and unlink it',
    change: (root) => {
      writeFileSync(`${root}/hard1`, 'changed');
      unlinkSync(`${root}/hard1`);
    },
    reads: ['/d1/hard2', '/d2/pair1'],
  },
  {
    name: 'write to one name of three and move it',
    change: (root) => {
      writeFileSync(`${root}/hard1`, 'changed');
      renameSync(`${root}/hard1`, `${root}/d2/moved`);
    },
    reads: ['/d1/hard2'],
  },
  {
    name: 'replace one name of three',
    change: (root) => {
      writeFileSync(`${root}/new`, 'other');
      renameSync(`${root}/new`, `${root}/hard1`);
    },
    reads: ['/hard1'],
  },
];

for (const samefs of [true, false]) {
  const where = samefs ? 'one file system' : 'lower elsewhere';
  test(`what changed through an overlay, ${where}`, { skip }, async (context) => {
    using lower = makeLower(samefs);
    for (const { name, change, reads = [] } of cases) {
      await context.test(name, async () => {
        using overlay = makeOverlay(lower);
        change(overlay.view);
        assert.deepEqual(await comparedReads(overlay), [...reads]);
        overlay.remount();
        assert.deepEqual(await comparedReads(overlay), [...reads], 'after mounting it again');
      });
    }
  });
}

test('excluded paths are left out, touched or not', { skip }, async () => {
  using lower = makeLower(true);
  using overlay = makeOverlay(lower);
  writeFileSync(`${overlay.view}/d1/a`, 'new');
  const exclude = compileExcludes(['/d1/a', 'deep', 'pair1']);
  const found = await readOverlay(overlay.layers, { exclude });
  const paths = found!.map(({ entry }) => entry.path);
  assert.ok(!paths.some((path) => exclude(path)));
  const pair = found!.find(({ entry }) => entry.path === '/d2/pair2')!.entry;
  assert.equal(pair.hardlink, undefined);
  assert.ok(pair.digest !== undefined);
});

test('a subtree of an overlay', { skip }, async () => {
  using lower = makeLower(true);
  using overlay = makeOverlay(lower);
  const layers = { ...overlay.layers, lowerRoot: '/d1', view: `${overlay.view}/d1` };
  assert.deepEqual(strip(await readOverlay(layers), layers.view), scanned(layers.view));
  renameSync(`${overlay.view}/d1/s`, `${overlay.view}/d1/t`);
  writeFileSync(`${overlay.view}/d1/hard2`, 'linked outside too');
  assert.deepEqual(strip(await readOverlay(layers), layers.view), scanned(layers.view));
});

function rewriteUnnoticed(root: string): void {
  const file = `${root}/d1/a`;
  writeFileSync(file, 'CONTENT A');
  setTimes(file, { mtime: 1000, mtimeNsec: 0 });
}
