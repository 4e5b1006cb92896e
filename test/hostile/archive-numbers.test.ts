/** Archives whose numbers lie, and bombs: what would fill memory or a disk stops at a bound. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, readArchive } from '../support/read-archive.ts';
import { soak } from '../support/run.ts';
import {
  archive,
  base256,
  file,
  hardlink,
  header,
  longName,
  member,
  oldSparse,
  pax,
  sparse10,
} from '../support/tar-builder.ts';
import { cases } from './cases.ts';

const content = 'content';
const dir = 'directory';
const unsafe = 'E_ARCHIVE_UNSAFE';
const corrupt = 'E_ARCHIVE_CORRUPT';
const limit = 'E_ARCHIVE_LIMIT';
const truncated = 'E_ARCHIVE_TRUNCATED';

const petabyte = 2 ** 50;

cases('sizes and numbers that lie', [
  ['negative size', archive(file('a', '', { size: base256(-1n, 12) })), corrupt],
  ['size over 2^53', archive(file('a', '', { size: base256(2n ** 60n, 12) })), corrupt],
  ['size over 2^53 in pax', archive(pax([['size', '9'.repeat(20)]]), file('a')), corrupt],
  ['size that is no number', archive(file('a', '', { size: Buffer.from('NaN') })), corrupt],
  ['size in pax that is no number', archive(pax([['size', 'NaN']]), file('a')), corrupt],
  ['negative size in pax', archive(pax([['size', '-1']]), file('a')), corrupt],
  ['size with an exponent in pax', archive(pax([['size', '1e3']]), file('a')), corrupt],
  ['size of more than there is', archive(file('a', content, { size: 5000 })), truncated],
  ['size of less than there is', archive(file('a', 'x'.repeat(2000), { size: 100 })), corrupt],
  [
    'size of a symlink is no content',
    archive(header({ name: 'a', type: '2', link: 'b', size: 4096 })),
    { '/a': '-> b' },
  ],
  ['size of a directory is no content', archive(header({ name: 'a', type: '5', size: 4096 })), { '/a': dir }],
  ['content after a device', archive(member({ name: 'a', type: '3', major: 1, minor: 3 }, content)), corrupt],
  ['negative uid', archive(file('a', '', { uid: base256(-1n, 8) })), corrupt],
  ['uid of 2^32', archive(pax([['uid', '4294967296']]), file('a')), corrupt],
  ['uid of -1 as unsigned', archive(pax([['uid', '4294967295']]), file('a')), corrupt],
  ['mtime that is no time', archive(pax([['mtime', 'yesterday']]), file('a')), corrupt],
  ['mtime beyond 2^53', archive(pax([['mtime', '9'.repeat(30)]]), file('a')), corrupt],
  ['device number beyond Linux', archive(header({ name: 'a', type: '3', major: 4096 })), corrupt],
  [
    'device fields of a file are ignored',
    archive(file('a', '', { major: Buffer.from('garbage!') })),
    { '/a': 'empty' },
  ],
  [
    'device fields that are no number',
    archive(header({ name: 'a', type: '4', minor: Buffer.from('garbage!') })),
    corrupt,
  ],
]);

const longDirs = `${'d/'.repeat(2000)}x`;

cases('bombs', [
  [
    'more than --max-size in one file',
    archive(file('a', '', { size: 8 ** 11 - 1 })),
    limit,
    { limits: { maxSize: 1000 } },
  ],
  [
    'more than --max-size together',
    archive(file('a', 'x'.repeat(600)), file('b', 'x'.repeat(600))),
    limit,
    { limits: { maxSize: 1000 } },
  ],
  [
    'just --max-size',
    archive(file('a', 'x'.repeat(500)), file('b', 'x'.repeat(500))),
    { '/a': holds('x'.repeat(500)), '/b': holds('x'.repeat(500)) },
    { limits: { maxSize: 1000 } },
  ],
  [
    'a sparse file of 1 PiB',
    archive(
      oldSparse({
        name: 'a',
        realSize: base256(BigInt(petabyte), 12),
        segments: [[base256(BigInt(petabyte), 12), 0]],
        content: '',
      }),
    ),
    limit,
  ],
  [
    'a sparse file of 1 PiB, allowed',
    archive(sparse10([['GNU.sparse.realsize', String(petabyte)]], '0\n')),
    { '/GNUSparse': `${petabyte} sparse:1` },
    { limits: { maxSize: 2 ** 51 } },
  ],
  ['more than --max-files', archive(file('a'), file('b'), file('c')), limit, { limits: { maxFiles: 2 } }],
  [
    'just --max-files',
    archive(file('a'), file('b')),
    { '/a': 'empty', '/b': 'empty' },
    { limits: { maxFiles: 2 } },
  ],
  [
    'more than --max-files of the same name',
    archive(file('a'), file('a'), file('a')),
    limit,
    { limits: { maxFiles: 2 } },
  ],
  [
    'more than --max-files by implied directories',
    archive(longName(longDirs), file('x')),
    limit,
    { limits: { maxFiles: 1000 } },
  ],
  ['a pax header of 9 MB', archive(pax([['comment', 'x'.repeat(9 << 20)]]), file('a')), limit],
  ['a pax header that says 8 GB', archive(header({ name: 'x', type: 'x', size: 8 ** 11 - 1 })), limit],
  ['a GNU long name that says 8 GB', archive(header({ name: 'x', type: 'L', size: 8 ** 11 - 1 })), limit],
  [
    'pax headers of 9 MB together',
    archive(...Array.from({ length: 9 }, (_, at) => pax([[`k${at}`, 'x'.repeat(1 << 20)]])), file('a')),
    limit,
  ],
  [
    'global records of 70 KB',
    archive(pax([['SCHILY.xattr.user.a', 'x'.repeat(70_000)]], 'g'), file('a')),
    limit,
  ],
  [
    'global records of 70 KB together',
    archive(
      pax([['SCHILY.xattr.user.a', 'x'.repeat(35_000)]], 'g'),
      pax([['SCHILY.xattr.user.b', 'x'.repeat(35_000)]], 'g'),
      file('a'),
    ),
    limit,
  ],
  [
    'global records that replace each other',
    archive(pax([['a', 'x'.repeat(35_000)]], 'g'), pax([['a', 'y'.repeat(35_000)]], 'g'), file('a')),
    { '/a': 'empty' },
  ],
  ['7 MB of attributes and 40 hard links to them', archive(...repeated(40)), limit],
  [
    '60 KB of global attributes and 5000 entries',
    archive(
      pax([['SCHILY.xattr.user.a', 'x'.repeat(60_000)]], 'g'),
      ...Array.from({ length: 5000 }, () => file('a')),
    ),
    limit,
  ],
  [
    'names that imply 300,000 directories of 2 KB on average',
    archive(
      ...Array.from({ length: 150 }, (_, at) => [longName(`${at}/${longDirs.slice(4)}`), file('x')]).flat(),
    ),
    limit,
  ],
  [
    'a sparse map that says 2^50 segments',
    archive(sparse10([], `${petabyte}\n${'1\n'.repeat(200)}`)),
    corrupt,
  ],
  [
    'extension blocks without end',
    archive(
      oldSparse({
        name: 'a',
        realSize: 0,
        segments: Array.from({ length: 400_000 }, () => [0, 0] as const),
        content: '',
      }),
    ),
    limit,
  ],
]);

test('a deep name implies its directories, and a second one shares them', () => {
  const entries = readArchive(archive(longName(longDirs), file('x'), longName(`${longDirs}y`), file('x')));
  assert.equal(entries.length, 1 + 2000 + 2);
});

test('errors name the archive, the entry as it is spelled, and the reason', () => {
  assert.throws(() => readArchive(archive(file('a/../\x1b[2J'))), {
    code: unsafe,
    message: "test.tar holds an unsafe entry a/../\\x1b[2J: '..' in its name",
  });
  assert.throws(() => readArchive(archive(file('a'), file('b')), { limits: { maxFiles: 1 } }), {
    message: 'test.tar exceeds 1 entries',
  });
});

for (const count of soak ? [200_000, 1_000_000] : [200_000])
  test(`${count} entries`, () => {
    const block = archive(...Array.from({ length: 1000 }, (_, at) => file(`d/file-${at}`, 'x')));
    const members = block.subarray(0, -1024);
    const each = members.length / 1000;
    const bytes = Buffer.alloc(each * count + 1024);
    for (let at = 0; at < count; at += 1000) {
      members.copy(bytes, at * each);
      for (let index = 0; index < 1000; index++)
        rename(bytes, (at + index) * each, `d${at / 1000}/f${index}`);
    }
    assert.equal(readArchive(bytes, { chunk: 1 << 20 }).length, 1 + count / 1000 + count);
  });

test('attributes of all layers count together', () => {
  const metadata = { bytes: 0, names: 0 };
  const bytes = archive(...repeated(20));
  readArchive(bytes, { metadata });
  assert.throws(() => readArchive(bytes, { metadata }), { code: limit });
});

/** A file with 7 MB of extended attributes, and hard links to it. */
function repeated(links: number): Buffer[] {
  const attributes = Array.from(
    { length: 120 },
    (_, at) => [`SCHILY.xattr.user.${at}`, 'x'.repeat(60_000)] as const,
  );
  return [pax(attributes), file('a'), ...Array.from({ length: links }, (_, at) => hardlink(`${at}`, 'a'))];
}

/** Writes another name over a header's and mends the checksum by the difference. */
function rename(bytes: Buffer, at: number, name: string): void {
  const sum = (): number => bytes.subarray(at, at + 100).reduce((total, byte) => total + byte, 0);
  const before = sum();
  bytes.fill(0, at, at + 100).write(name, at, 'latin1');
  const stored = Number.parseInt(bytes.toString('latin1', at + 148, at + 154), 8) + sum() - before;
  bytes.write(stored.toString(8).padStart(6, '0'), at + 148, 'latin1');
}
