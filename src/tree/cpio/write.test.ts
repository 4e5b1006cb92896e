import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs, run } from '../../../test/support/run.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { makedev } from '../../core/rdev.ts';
import { impliedDirectory, type Entry } from '../entry.ts';
import { cpioLosses, cpioParts } from './write.ts';

const content = Buffer.from('hello\n');
const file: Entry = {
  ...impliedDirectory('/a'),
  ...{ type: 'file', mode: 0o4755, mtime: 1_600_000_000, size: content.length, digest: sha256(content) },
};
const tree: Entry[] = [
  { ...impliedDirectory('/'), mtime: 5 },
  { ...impliedDirectory('/TRAILER!!!'), type: 'file' },
  file,
  { ...impliedDirectory('/dev'), mode: 0o700 },
  { ...impliedDirectory('/dev/console'), type: 'char', mode: 0o600, rdev: makedev(5, 1) },
  { ...file, path: '/dev/linked', hardlink: '/a' },
  { ...impliedDirectory('/empty'), type: 'file', mode: 0o644 },
  { ...impliedDirectory('/link'), type: 'symlink', mode: 0o777, size: 3, target: '/\xff\n' },
];

function archive(entries: readonly Entry[]): Buffer {
  return Buffer.concat([...cpioParts(entries)].map((part) => (Buffer.isBuffer(part) ? part : content)));
}

for (const command of [
  ['cpio', '-idm', '--quiet'],
  ['bsdtar', '-xpf', '-'],
])
  test(
    `${command[0]} gives the tree back`,
    { skip: needs({ root: true, programs: [command[0]!] }) },
    async () => {
      using scratch = makeScratch('cpio');
      const root = join(scratch.path, 'root');
      mkdirSync(root);
      const done = await run(command, { cwd: root, input: archive(tree) });
      assert.equal(done.code, 0, done.stderr);
      const stat = (name: string) => lstatSync(join(root, name));
      assert.equal(readFileSync(join(root, 'a'), 'utf8'), 'hello\n');
      assert.ok(stat('TRAILER!!!').isFile(), 'not taken for the end');
      assert.equal(stat('a').ino, stat('dev/linked').ino);
      assert.equal(stat('a').mode & 0o7777, 0o4755);
      assert.equal(stat('a').mtimeMs, 1_600_000_000_000);
      assert.equal(stat('empty').size, 0);
      assert.equal(stat('dev').mode & 0o7777, 0o700);
      assert.ok(stat('dev/console').isCharacterDevice());
      assert.equal(stat('dev/console').rdev, makedev(5, 1));
      assert.equal(readlinkSync(join(root, 'link'), 'latin1'), '/\xff\n');
    },
  );

test('the content of hard-linked names comes once, with the last', () => {
  const parts = [...cpioParts(tree)];
  assert.equal(parts.filter((part) => !Buffer.isBuffer(part)).length, 1);
  assert.equal(archive(tree).length % 512, 0);
});

test('a file that the header cannot count is refused', () => {
  const large: Entry = { ...file, size: 2 ** 32 };
  assert.throws(
    () => [...cpioParts([impliedDirectory('/'), large])],
    (error) => isCellarError(error, 'E_UNSUPPORTED'),
  );
});

test('what the format cannot hold is counted', () => {
  const odd: Entry = { ...file, mtime: -1, xattrs: [['user.a', 'b']] };
  assert.deepEqual(cpioLosses([...tree, odd]), { xattrs: 1, times: 1 });
});
