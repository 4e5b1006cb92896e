/** Images against the digests that mkcomposefs gave for the dumps of test/data/dumps. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generatedTree } from '../../../test/support/generated-tree.ts';
import { needs } from '../../../test/support/run.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { impliedDirectory, type Entry } from '../entry.ts';
import { readDump } from '../../../test/support/composefs-dump.ts';
import { manifestDigest } from '../manifest/write.ts';
import { exceedsXattrLimit, type ImageEntry } from './image-entry.ts';
import { writeErofs } from './write.ts';
import { xxh32 } from './xxh32.ts';

const data = new URL('../../../test/data/dumps/', import.meta.url);
const digests = JSON.parse(readFileSync(new URL('digests.json', data), 'utf8')) as Record<
  string,
  Record<string, string>
>;
const dumps = Object.keys(digests).filter((name) => !name.startsWith('generated '));
const root: Entry = impliedDirectory('/');

for (const name of dumps) {
  test(`the image of ${name} is that of mkcomposefs`, () => {
    const entries = readDump(readFileSync(new URL(`${name}.dump`, data)));
    for (const [range, digest] of Object.entries(digests[name]!)) {
      const [minVersion, maxVersion] = range.split('-').map(Number) as [0 | 1, 0 | 1];
      assert.equal(sha256(writeErofs(entries, { minVersion, maxVersion })), digest, range);
    }
  });
}

for (const count of [5000, 30000]) {
  test(`so is that of a tree of ${count} entries`, () => {
    const entries = generatedTree(count);
    const expected = digests[`generated ${count}`]!;
    assert.equal(manifestDigest(entries), expected['manifest']);
    assert.equal(sha256(writeErofs(entries)), expected['0-1']);
  });
}

test('fsck.erofs accepts every image', { skip: needs({ programs: ['fsck.erofs'] }) }, () => {
  using scratch = makeScratch('fsck');
  const image = join(scratch.path, 'image');
  for (const name of dumps) {
    writeFileSync(image, writeErofs(readDump(readFileSync(new URL(`${name}.dump`, data)))));
    execFileSync('fsck.erofs', [image], { stdio: 'pipe' });
  }
});

test('a verity digest goes into the metacopy attribute', () => {
  const digest = 'ab'.repeat(32);
  const file: ImageEntry = { ...root, path: '/a', type: 'file', size: 1, digest };
  const value = Buffer.from(`00240001${'cd'.repeat(32)}`, 'hex');
  assert.ok(writeErofs([root, { ...file, verity: 'cd'.repeat(32) }]).includes(value));
  assert.ok(!writeErofs([root, file]).includes(value));
});

test('what an image cannot hold is refused with its path', () => {
  const big = [['user.a', 'x'.repeat(32768)]] as const;
  const cases: Entry[] = [
    { ...root, path: `/${'n'.repeat(256)}` },
    { ...root, path: '/link', type: 'symlink', target: 't'.repeat(4096), size: 4096 },
    { ...root, path: '/xattrs', xattrs: big },
    { ...root, path: '/name', xattrs: [['user.'.padEnd(256, 'x'), '']] },
  ];
  for (const entry of cases) {
    assert.throws(
      () => writeErofs([root, entry]),
      (error) => isCellarError(error, 'E_EROFS_LIMIT') && error.details['path'] === entry.path,
    );
  }
  assert.equal(exceedsXattrLimit(big), true);
  assert.equal(exceedsXattrLimit([['user.a', 'x'.repeat(32742)]]), false);
  assert.equal(exceedsXattrLimit([['user.a', 'x'.repeat(32743)]]), true);
});

test('xxh32 has the published values', () => {
  assert.equal(xxh32('', 0), 0x02cc5d05);
  assert.equal(xxh32('a', 0), 0x550d7456);
  assert.equal(xxh32('abc', 0), 0x32d153ff);
  assert.equal(xxh32('abcdefghijklmnopqrstuvwxyz', 0), 0x63a14d5f);
});
