/** Against the kernel: what is computed from manifest and upper must be what a full scan of the mounted overlay finds. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ByteString } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { makedev } from '../core/rdev.ts';
import { mknod, setTimes } from '../sys/metadata.ts';
import { mountOverlay } from '../sys/overlay.ts';
import { attachMount, createMount, unmount } from '../sys/mount-api.ts';
import { removeXattr, setXattr } from '../sys/xattr.ts';
import type { Candidate } from './candidate.ts';
import { scanDirectory } from './directory.ts';
import { formatBits, type Entry } from './entry.ts';
import { compileExcludes } from './exclude.ts';
import { readOverlay } from './overlay-upper.ts';

const skip = process.geteuid?.() === 0 ? false : 'needs root';

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
        assert.deepEqual(await compare(overlay), [...reads]);
        overlay.remount();
        assert.deepEqual(await compare(overlay), [...reads], 'after mounting it again');
      });
    }
  });

  test(`random changes through an overlay, ${where}`, { skip }, async () => {
    using lower = makeLower(samefs);
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 14 }), async (operations) => {
        using overlay = makeOverlay(lower);
        for (const run of operations) attempt(() => run.apply(overlay));
        await compare(overlay);
      }),
      { numRuns: Number(process.env['CELLAR_RUNS'] ?? 60) },
    );
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

/** The paths that were to be read, after checking that all else is right. */
async function compare(overlay: Overlay): Promise<string[]> {
  const found = await readOverlay(overlay.layers);
  assert.deepEqual(strip(found, overlay.view), scanned(overlay.view));
  return found!.filter(({ read }) => read !== undefined).map(({ entry }) => entry.path);
}

/** Entries as they would be committed. */
function strip(found: readonly Candidate[] | undefined, view: string): Entry[] {
  assert.ok(found !== undefined, 'the layers explain what is shown');
  const firsts = new Map<ByteString, Entry>();
  return found.map(({ entry, read }) => {
    const whole =
      entry.hardlink !== undefined
        ? { ...firsts.get(entry.hardlink)!, path: entry.path, hardlink: entry.hardlink }
        : read === undefined
          ? entry
          : { ...entry, digest: digestOf(view, entry.path) };
    firsts.set(entry.path, whole);
    return whole;
  });
}

function scanned(root: string): Entry[] {
  return Array.from(scanDirectory(root), ({ entry }) =>
    entry.type === 'file' && entry.size > 0 ? { ...entry, digest: digestOf(root, entry.path) } : entry,
  );
}

function digestOf(root: string, path: ByteString): string {
  return sha256(readFileSync(root + path));
}

interface Lower extends Disposable {
  readonly path: string;
  readonly entries: readonly Entry[];
}

function makeLower(samefs: boolean): Lower {
  const stack = new DisposableStack();
  const path = stack.adopt(mkdtempSync('/var/tmp/cellar-lower-'), (made) =>
    rmSync(made, { recursive: true, force: true }),
  );
  if (!samefs) {
    using tmpfs = createMount('tmpfs', { parameters: [] });
    attachMount(tmpfs, path);
    stack.defer(() => unmount(path, { detach: true }));
  }
  mkdirSync(`${path}/d1/s/deep`, { recursive: true });
  mkdirSync(`${path}/d2`);
  writeFileSync(`${path}/d1/a`, 'content a');
  writeFileSync(`${path}/d1/big`, Buffer.alloc(300_000, 'big'));
  writeFileSync(`${path}/d1/empty`, '');
  writeFileSync(`${path}/d1/s/deep/f`, 'deep file');
  writeFileSync(`${path}/d1/s/g`, 'g');
  writeFileSync(`${path}/d2/x`, 'x marks');
  setXattr(`${path}/d2/x`, 'user.colour', 'blue');
  symlinkSync('d1/a', `${path}/link`);
  mknod(`${path}/null`, formatBits.char | 0o666, makedev(1, 3));
  writeFileSync(`${path}/hard1`, 'three names');
  linkSync(`${path}/hard1`, `${path}/d1/hard2`);
  linkSync(`${path}/hard1`, `${path}/d2/hard3`);
  writeFileSync(`${path}/d2/pair1`, 'two names');
  linkSync(`${path}/d2/pair1`, `${path}/d2/pair2`);
  return { path, entries: scanned(path), [Symbol.dispose]: () => stack.dispose() };
}

interface Overlay extends Disposable {
  readonly view: string;
  readonly layers: Parameters<typeof readOverlay>[0];
  remount(): void;
}

function makeOverlay(lower: Lower): Overlay {
  const scratch = mkdtempSync('/var/tmp/cellar-overlay-');
  const [upper, work, view] = ['upper', 'work', 'view'].map((name) => `${scratch}/${name}`) as [
    string,
    string,
    string,
  ];
  for (const path of [upper, work, view]) mkdirSync(path);
  const mount = (): void => mountOverlay({ lower: [lower.path], upper, work, target: view });
  mount();
  return {
    view,
    layers: { lower: lower.entries, lowerRoot: '/', upper, work, view },
    remount() {
      unmount(view);
      mount();
    },
    [Symbol.dispose]() {
      unmount(view, { detach: true });
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}

function rewriteUnnoticed(root: string): void {
  const file = `${root}/d1/a`;
  writeFileSync(file, 'CONTENT A');
  setTimes(file, { mtime: 1000, mtimeNsec: 0 });
}

interface Operation {
  readonly text: string;
  apply(overlay: Overlay): void;
  toString(): string;
}

const names = ['', '/d1', '/d2', '/d1/s', '/d1/s/deep', '/new'];
const leaves = ['a', 'x', 'hard1', 'hard2', 'hard3', 'pair1', 'pair2', 's', 'd2', 'f', 'new', 'link'];
const somePath = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom(...leaves))
  .map(([directory, leaf]) => `${directory}/${leaf}`);

function on(name: string, apply: (path: string) => void): fc.Arbitrary<Operation> {
  return somePath.map((path) => describeOperation(`${name} ${path}`, ({ view }) => apply(view + path)));
}

function between(name: string, apply: (from: string, to: string) => void): fc.Arbitrary<Operation> {
  return fc
    .tuple(somePath, somePath)
    .map(([from, to]) =>
      describeOperation(`${name} ${from} ${to}`, ({ view }) => apply(view + from, view + to)),
    );
}

function describeOperation(text: string, apply: (overlay: Overlay) => void): Operation {
  return { text, apply, toString: () => text };
}

let counter = 0;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  on('write', (path) => writeFileSync(path, `content ${++counter}`)),
  on('append', (path) => appendFileSync(path, '+')),
  on('open for writing', (path) => closeSync(openSync(path, 'r+'))),
  on('truncate', (path) => truncateSync(path, 3)),
  on('chmod', (path) => chmodSync(path, 0o640)),
  on('chown', (path) => lchownSync(path, 5, 6)),
  on('set xattr', (path) => setXattr(path, 'user.n', String(++counter))),
  on('remove xattr', (path) => removeXattr(path, 'user.n')),
  on('set overlay xattr', (path) => setXattr(path, 'trusted.overlay.redirect', '/d1')),
  on('unlink', (path) => unlinkSync(path)),
  on('rmdir', (path) => rmdirSync(path)),
  on('rm -r', (path) => rmSync(path, { recursive: true })),
  on('mkdir', (path) => mkdirSync(path)),
  on('symlink', (path) => symlinkSync('target', path)),
  // Not a FIFO: writing to one would wait for a reader.
  on('make a socket', (path) => mknod(path, formatBits.socket | 0o600, 0)),
  on('copy out and in', (path) =>
    readdirSync(path).forEach((name) => writeFileSync(`${path}/${name}.copy`, 'c')),
  ),
  between('rename', renameSync),
  between('rename', renameSync),
  between('link', linkSync),
  fc.constant(describeOperation('remount', (overlay) => overlay.remount())),
);

/** Many random operations cannot succeed; that they fail is part of the game. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).errno === undefined) throw error;
  }
}
