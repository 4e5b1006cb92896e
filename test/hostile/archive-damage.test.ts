/** Damaged archives: cut anywhere, any byte changed. What comes out is an error with a code, or a tree. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { outcome, readArchive } from '../support/read-archive.ts';
import { soak } from '../support/run.ts';
import {
  archive,
  directory,
  file,
  hardlink,
  header,
  longName,
  oldSparse,
  pax,
  symlink,
} from '../support/tar-builder.ts';

/** One of everything. */
const sample = archive(
  pax([['comment', 'global']], 'g'),
  directory('d/'),
  file('d/empty'),
  file('d/full', 'x'.repeat(700)),
  pax([
    ['path', 'd/from-pax'],
    ['mtime', '-1.5'],
    ['SCHILY.xattr.user.a', 'value'],
  ]),
  file('x', 'y'.repeat(512)),
  longName(`d/${'n'.repeat(120)}`),
  file('x', 'z'),
  symlink('link', 'd/full'),
  hardlink('hard', 'd/full'),
  header({ name: 'null', type: '3', major: 1, minor: 3 }),
  oldSparse({
    name: 'sparse',
    realSize: 90_000,
    segments: [0, 1, 2, 3, 4, 5].map((at) => [at * 10_000, 10] as const),
    content: 's'.repeat(60),
  }),
  pax([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'sparse-1.0'],
    ['GNU.sparse.realsize', '5000'],
  ]),
  file('x', Buffer.concat([Buffer.from('1\n4000\n3\n'.padEnd(512, '\0')), Buffer.from('abc')])),
);
const end = sample.length - 1024;
const whole = outcome(sample);

test('the archive is whole', () => {
  assert.equal(Object.keys(whole).length, 10);
});

test('cut at every block: truncated, up to the first zero block', () => {
  for (let at = 512; at <= end; at += 512)
    assert.equal(outcome(sample.subarray(0, at)), 'E_ARCHIVE_TRUNCATED', `at ${at}`);
  assert.deepEqual(outcome(sample.subarray(0, end + 512)), whole);
  assert.equal(outcome(sample.subarray(0, 0)), 'E_ARCHIVE_FORMAT');
});

test('cut at every byte around every block', () => {
  for (let block = 512; block < end; block += 512)
    for (const by of [-511, -255, -2, -1, 1, 2, 255])
      assert.equal(
        outcome(sample.subarray(0, block + by)),
        block + by < 512 ? 'E_ARCHIVE_FORMAT' : 'E_ARCHIVE_TRUNCATED',
        `at ${block + by}`,
      );
});

test('every byte of a header changed: an error, or the same meaning', () => {
  const good = archive(file('name', 'content', { uid: 5, gid: 6, mtime: 7 }));
  const meaning = JSON.stringify(readArchive(good));
  for (let at = 0; at < 512; at++) {
    for (const mask of [0xff, 1, 2, 4, 8, 16, 32, 64, 128]) {
      const bad = Buffer.from(good);
      bad[at]! ^= mask;
      const found = outcome(bad);
      if (typeof found === 'string') assert.match(found, /^E_ARCHIVE_(?:FORMAT|CORRUPT)$/);
      else assert.equal(JSON.stringify(readArchive(bad)), meaning, `byte ${at} ^ ${mask}`);
    }
  }
});

test('in chunks of any size it means the same', () => {
  for (const chunk of [1, 2, 3, 13, 511, 512, 513, 1000, 4096])
    assert.deepEqual(outcome(sample, { chunk }), whole, `chunks of ${chunk}`);
});

const runs = soak ? 20_000 : 1500;

test('random changes and cuts give an error with a code or a tree', () => {
  const change = fc.record({ at: fc.nat(sample.length - 1), byte: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 6 }),
      fc.nat(sample.length),
      fc.boolean(),
      (changes, length, cut) => {
        const bytes = Buffer.from(sample);
        for (const { at, byte } of changes) bytes[at] = byte;
        // `outcome` throws whatever is not a CellarError.
        outcome(cut ? bytes.subarray(0, length) : bytes);
      },
    ),
    { numRuns: runs },
  );
});

test('random changes under right checksums, where the fields themselves are at stake', () => {
  const change = fc.record({
    block: fc.nat(end / 512 - 1),
    at: fc.oneof(fc.nat(511), fc.integer({ min: 100, max: 160 }), fc.integer({ min: 386, max: 500 })),
    byte: fc.oneof(fc.nat(255), fc.constantFrom(0, 0x20, 0x30, 0x37, 0x80, 0xff)),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 5 }), (changes) => {
      const bytes = Buffer.from(sample);
      for (const { block, at, byte } of changes) {
        bytes[block * 512 + at] = byte;
        mend(bytes.subarray(block * 512, block * 512 + 512));
      }
      outcome(bytes, { limits: { maxSize: 1 << 24, maxFiles: 1000 } });
    }),
    { numRuns: runs },
  );
});

/** Blocks that are no headers get some bytes at 148 too: one more change. */
function mend(block: Buffer): void {
  if (!block.subarray(257, 262).equals(Buffer.from('ustar'))) return;
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
