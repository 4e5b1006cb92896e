/** Hostile archives through the real command line: the code, a hint, exit 1, and a store as it was. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { cellar, cellarOk } from '../support/cellar.ts';
import { makeScratch } from '../support/scratch.ts';
import {
  archive,
  base256,
  directory,
  file,
  hardlink,
  longName,
  pax,
  sparse10,
  symlink,
} from '../support/tar-builder.ts';

const large = file('large', Buffer.alloc(3 << 20, 'large content '));

const cases: readonly (readonly [name: string, bytes: Buffer, code: string, args?: readonly string[]])[] = [
  ['..', archive(large, file('../evil')), 'E_ARCHIVE_UNSAFE'],
  ['below a symlink', archive(large, symlink('a', '/etc'), file('a/passwd')), 'E_ARCHIVE_UNSAFE'],
  ['a hard link to the host', archive(large, hardlink('a', '/etc/passwd')), 'E_ARCHIVE_UNSAFE'],
  ['a file over a directory', archive(directory('a'), file('a/x'), file('a')), 'E_ARCHIVE_UNSAFE'],
  ['64 KiB name', archive(large, longName('n'.repeat(65_536)), file('x')), 'E_ARCHIVE_UNSAFE'],
  ['negative size', archive(large, file('a', '', { size: base256(-1n, 12) })), 'E_ARCHIVE_CORRUPT'],
  ['a wrong checksum', archive(large, file('a', '', { wrongBy: 1 })), 'E_ARCHIVE_CORRUPT'],
  ['trailing garbage', Buffer.concat([archive(large), Buffer.from('garbage')]), 'E_ARCHIVE_CORRUPT'],
  ['an overlapping sparse map', archive(large, sparse10([], '2\n0\n9\n5\n9\n')), 'E_ARCHIVE_CORRUPT'],
  ['truncation in content', archive(large).subarray(0, 1 << 20), 'E_ARCHIVE_TRUNCATED'],
  ['truncation before the end', large, 'E_ARCHIVE_TRUNCATED'],
  ['a size past the end', archive(large, file('a', 'x', { size: 1 << 30 })), 'E_ARCHIVE_TRUNCATED'],
  ['not a tar', Buffer.from('not a tar\n'.repeat(1000)), 'E_ARCHIVE_FORMAT'],
  ['nothing', Buffer.alloc(0), 'E_ARCHIVE_FORMAT'],
  ['--max-size', archive(large), 'E_ARCHIVE_LIMIT', ['--max-size', '1000000']],
  ['--max-files', archive(large, file('a'), file('b')), 'E_ARCHIVE_LIMIT', ['--max-files', '2']],
  ['a sparse bomb', archive(large, sparse10([['GNU.sparse.realsize', String(2 ** 50)]])), 'E_ARCHIVE_LIMIT'],
  ['a huge pax header', archive(large, pax([['a', 'x'.repeat(9 << 20)]]), file('x')), 'E_ARCHIVE_LIMIT'],
];

suite('a refused import', { concurrency: 2 }, () => {
  for (const [at, [name, bytes, code, args = []]] of cases.entries())
    test(`${name}: ${code}`, async () => {
      using scratch = makeScratch('hostile');
      const store = join(scratch.path, 'store');
      const plain = join(scratch.path, 'evil.tar');
      writeFileSync(plain, bytes);
      await refused(['import', plain, 'x', ...args], store, code);
      // Packed ones take another way into the store.
      if (at % 4 > 0) return;
      writeFileSync(plain, gzipSync(bytes, { level: 1 }));
      await refused(['import', plain, 'x', ...args], store, code);
    });
});

test('a store with an image keeps it, and a good archive after a bad one goes in', async () => {
  using scratch = makeScratch('hostile');
  const store = join(scratch.path, 'store');
  const [good, evil] = [join(scratch.path, 'good.tar'), join(scratch.path, 'evil.tar')];
  writeFileSync(good, archive(large));
  writeFileSync(evil, archive(file('new', 'unseen before'), file('../evil')));
  const before = await cellarOk(['import', good, 'x'], { store });
  const stored = filesOf(store);
  assert.equal((await cellar(['import', evil, 'x'], { store })).code, 1);
  assert.deepEqual(filesOf(store), stored);
  assert.equal((await cellarOk(['show', 'x'], { store }))['tree'], before['tree']);
  writeFileSync(evil, archive(large, file('new', 'unseen before')));
  assert.equal((await cellarOk(['import', evil, 'x'], { store }))['newObjects'], 1);
});

test('what is left out with --exclude does no harm', async () => {
  using scratch = makeScratch('hostile');
  const evil = join(scratch.path, 'evil.tar');
  writeFileSync(evil, archive(large, symlink('a', '/etc'), file('a/passwd')));
  const store = join(scratch.path, 'store');
  const done = await cellarOk(['import', evil, 'x', '--exclude', '/a/passwd'], { store });
  assert.equal(done['newObjects'], 1);
});

async function refused(args: readonly string[], store: string, code: string): Promise<void> {
  const done = await cellar([...args], { store });
  assert.equal(done.code, 1, done.stderr);
  assert.match(done.stderr, new RegExp(`error\\[${code}\\]`));
  assert.match(done.stderr, /^hint: ./m);
  assert.deepEqual(filesOf(store), []);
  const listed = await cellar(['ls', '--json'], { store });
  assert.doesNotMatch(listed.stdout, /"reference"/);
}

/** Every object, tree and temporary file; the database and the locks are always there. */
function filesOf(store: string): string[] {
  return ['objects', 'trees', 'variants', 'tmp'].flatMap((part) =>
    readdirSync(join(store, part), { recursive: true, withFileTypes: true })
      .filter((found) => part === 'tmp' || !found.isDirectory())
      .map((found) => join(found.parentPath, found.name))
      .sort(),
  );
}
