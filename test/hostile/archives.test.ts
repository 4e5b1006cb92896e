/** What hostile archives come to: each case has one decided outcome. docs/reference/archives.md tells the same story. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { holds, outcome, readArchive, type ReadOptions } from '../support/read-archive.ts';
import { soak } from '../support/run.ts';
import {
  archive,
  base256,
  directory,
  file,
  gnu,
  hardlink,
  header,
  longName,
  member,
  oldSparse,
  padded,
  pax,
  symlink,
  v7,
} from '../support/tar-builder.ts';

type Case = readonly [
  name: string,
  bytes: Buffer,
  wanted: string | Record<string, string>,
  options?: ReadOptions,
];

function cases(title: string, list: readonly Case[]): void {
  suite(title, () => {
    for (const [name, bytes, wanted, options] of list)
      test(name, () => {
        assert.deepEqual(outcome(bytes, options), wanted);
        if (bytes.length < 100_000)
          assert.deepEqual(outcome(bytes, { ...options, chunk: 7 }), wanted, 'in chunks of 7 bytes');
      });
  });
}

const content = 'content';
const dir = 'directory';
const unsafe = 'E_ARCHIVE_UNSAFE';
const corrupt = 'E_ARCHIVE_CORRUPT';
const limit = 'E_ARCHIVE_LIMIT';
const format = 'E_ARCHIVE_FORMAT';
const truncated = 'E_ARCHIVE_TRUNCATED';

cases('names that lead out of the tree', [
  ['..', archive(file('..')), unsafe],
  ['../evil', archive(file('../evil')), unsafe],
  ['a/../../evil', archive(directory('a'), file('a/../../evil')), unsafe],
  ['a/../b, though harmless', archive(directory('a'), file('a/../b')), unsafe],
  ['a/..', archive(directory('a/..')), unsafe],
  ['.. from a pax path', archive(pax([['path', '../evil']]), file('fine')), unsafe],
  ['.. from a GNU long name', archive(longName('../evil'), file('fine')), unsafe],
  ['.. from a ustar prefix', archive(file('evil', '', { prefix: '..' })), unsafe],
  ['.. from GNU.sparse.name', archive(sparse10([['GNU.sparse.name', '../evil']])), unsafe],
  ['.. as a hard link target', archive(hardlink('passwd', '../../etc/passwd')), unsafe],
  ['.. as a symlink target is just text', archive(symlink('a', '../../x')), { '/a': '-> ../../x' }],
  [
    'absolute names become relative',
    archive(file('/etc/x', content)),
    { '/etc': dir, '/etc/x': holds(content) },
  ],
  ['many slashes and dots', archive(file('//.//./a/.//b', content)), { '/a': dir, '/a/b': holds(content) }],
  ['names like dots are names', archive(file('...'), file('..a')), { '/...': 'empty', '/..a': 'empty' }],
  ['a name below a symlink', archive(symlink('a', '/etc'), file('a/passwd')), unsafe],
  [
    'a name below a symlink to a real directory',
    archive(directory('d'), symlink('a', 'd'), file('a/x')),
    unsafe,
  ],
  [
    'a name below a hard link to a symlink',
    archive(symlink('a', '/'), hardlink('b', 'a'), file('b/x')),
    unsafe,
  ],
  [
    'a hard link through a symlink',
    archive(directory('d'), file('d/x'), symlink('a', 'd'), hardlink('y', 'a/x')),
    unsafe,
  ],
  ['a name below a file', archive(file('a'), file('a/x')), unsafe],
  [
    'a name below a device',
    archive(header({ name: 'a', type: '3', major: 1, minor: 3 }), file('a/x')),
    unsafe,
  ],
  [
    'a symlink in place of its directory later',
    archive(directory('a'), file('a/x'), symlink('a', '/')),
    unsafe,
  ],
]);

cases('one thing in place of another', [
  ['file over empty directory', archive(directory('a'), file('a', content)), { '/a': holds(content) }],
  ['file over directory with entries', archive(file('a/x'), file('a')), unsafe],
  ['hard link over directory with entries', archive(file('a/x'), hardlink('a', 'a/x')), unsafe],
  ['directory over file', archive(file('a', content), directory('a')), { '/a': dir }],
  [
    'directory over file, then below',
    archive(file('a'), directory('a'), file('a/x')),
    { '/a': dir, '/a/x': 'empty' },
  ],
  [
    'directory over symlink',
    archive(symlink('a', '/'), directory('a'), file('a/x')),
    { '/a': dir, '/a/x': 'empty' },
  ],
  ['file over symlink', archive(symlink('a', '/etc/passwd'), file('a', content)), { '/a': holds(content) }],
  ['the last of two wins', archive(file('a', 'first'), file('a', 'second')), { '/a': holds('second') }],
  [
    'the last of two spellings wins',
    archive(file('./a', 'first'), file('/a', 'second')),
    { '/a': holds('second') },
  ],
  [
    'a replaced name leaves its earlier hard links the old content',
    archive(file('a', 'old'), hardlink('b', 'a'), file('a', 'new')),
    { '/a': holds('new'), '/b': holds('old') },
  ],
  [
    'and hard links after it get the new',
    archive(file('a', 'old'), hardlink('b', 'a'), file('a', 'new'), hardlink('c', 'a')),
    { '/a': holds('new'), '/b': holds('old'), '/c': '= /a' },
  ],
  [
    'a directory again keeps its entries',
    archive(file('a/x'), directory('a')),
    { '/a': dir, '/a/x': 'empty' },
  ],
  ['the root as a file', archive(file('.')), unsafe],
  ['the root as a symlink', archive(symlink('./', '/etc')), unsafe],
  ['a file with an empty name', archive(file('')), unsafe],
  ['a directory with an empty name is the root', archive(directory('')), {}],
]);

cases('hard links', [
  ['to nowhere', archive(hardlink('a', 'missing')), unsafe],
  ['to the host', archive(hardlink('a', '/etc/passwd')), unsafe],
  ['to a directory', archive(directory('d'), hardlink('a', 'd')), unsafe],
  ['to the root', archive(hardlink('a', '/')), unsafe],
  ['to nothing', archive(hardlink('a', '')), unsafe],
  ['to itself, which is not there', archive(hardlink('a', 'a')), unsafe],
  [
    'to itself, which is there (a name given to tar twice)',
    archive(file('a', content), hardlink('a', './a')),
    { '/a': holds(content) },
  ],
  ['forward', archive(hardlink('a', 'b'), file('b')), unsafe],
  ['in a cycle', archive(hardlink('a', 'b'), hardlink('b', 'a')), unsafe],
  [
    'to a link',
    archive(file('b', content), hardlink('c', 'b'), hardlink('a', 'c')),
    { '/a': holds(content), '/b': '= /a', '/c': '= /a' },
  ],
  ['to a symlink', archive(symlink('a', 'x'), hardlink('b', 'a')), { '/a': '-> x', '/b': '= /a' }],
  [
    'to an excluded name',
    archive(file('a'), hardlink('b', 'a')),
    unsafe,
    { exclude: (path) => path === '/a' },
  ],
  ['an absolute target within', archive(file('a'), hardlink('b', '/a')), { '/a': 'empty', '/b': '= /a' }],
  [
    'symlinks in a cycle are just text',
    archive(symlink('a', 'b'), symlink('b', 'a')),
    { '/a': '-> b', '/b': '-> a' },
  ],
]);

const petabyte = 2 ** 50;
const longDirs = `${'d/'.repeat(2000)}x`;

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
    archive(pax([['a', 'x'.repeat(35_000)]], 'g'), pax([['b', 'x'.repeat(35_000)]], 'g'), file('a')),
    limit,
  ],
  [
    'global records that replace each other',
    archive(pax([['a', 'x'.repeat(35_000)]], 'g'), pax([['a', 'y'.repeat(35_000)]], 'g'), file('a')),
    { '/a': 'empty' },
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

cases('names too long or with bytes no file system takes', [
  [
    'a component of 255 bytes',
    archive(longName('n'.repeat(255)), file('x')),
    { [`/${'n'.repeat(255)}`]: 'empty' },
  ],
  ['a component of 256 bytes', archive(longName('n'.repeat(256)), file('x')), unsafe],
  [
    'a name of 4095 bytes',
    archive(longName(`${'d/'.repeat(2046)}xx`), file('x'), directory('zz')),
    unsafe4095(),
  ],
  ['a name of 4097 bytes', archive(longName(`${'d/'.repeat(2047)}xxx`), file('x')), unsafe],
  ['a name of 64 KiB', archive(longName('n'.repeat(65_536)), file('x')), unsafe],
  ['a name of 64 KiB in pax', archive(pax([['path', 'a/'.repeat(32_768)]]), file('x')), unsafe],
  ['a symlink target of 64 KiB', archive(longName('t'.repeat(65_536), 'K'), symlink('a', 'x')), unsafe],
  ['a symlink to nothing', archive(symlink('a', '')), unsafe],
  ['NUL in a pax path', archive(pax([['path', 'a\0b']]), file('x')), unsafe],
  ['NUL in a pax link target', archive(pax([['linkpath', 'a\0b']]), symlink('x', 'y')), unsafe],
  ['NUL in a hard link target', archive(file('a'), pax([['linkpath', 'a\0b']]), hardlink('x', 'a')), unsafe],
  ['NUL ends a name in a header', archive(file('a\0../b')), { '/a': 'empty' }],
  ['NUL ends a GNU long name', archive(longName('a\0/../b'), file('x')), { '/a': 'empty' }],
  ['control bytes and no UTF-8 are names', archive(file('\n\xff\x01')), { '/\n\xff\x01': 'empty' }],
]);

cases('extended headers', [
  ['record of the wrong length', archive(pax('99 path=a\n'), file('x')), corrupt],
  ['record of length 0', archive(pax('0 path=a\n'), file('x')), corrupt],
  ['record without a keyword', archive(pax('6 =ab\n'), file('x')), corrupt],
  ['record without =', archive(pax('7 abcd\n'), file('x')), corrupt],
  ['record without a newline', archive(pax('9 path=abc'), file('x')), corrupt],
  ['record with a negative length', archive(pax('-9 path=a\n'), file('x')), corrupt],
  ['only a number', archive(pax('12345'), file('x')), corrupt],
  ['empty', archive(pax(''), file('x')), { '/x': 'empty' }],
  ['padded with NULs', archive(pax('9 path=a\n\0\0\0'), file('x')), { '/a': 'empty' }],
  ['without a member', archive(pax([['path', 'a']])), corrupt],
  ['a long name without a member', archive(longName('a')), corrupt],
  ['ten levels', archive(...tenLevels(), file('x', content)), { '/level-9': holds(content) }],
  ['x over g', archive(pax([['path', 'g']], 'g'), pax([['path', 'x']]), file('h')), { '/x': 'empty' }],
  [
    'g over header, for all',
    archive(pax([['linkpath', 'g']], 'g'), symlink('a', 'h'), symlink('b', 'h')),
    { '/a': '-> g', '/b': '-> g' },
  ],
  [
    'an empty x value takes a g back',
    archive(pax([['path', 'g']], 'g'), pax([['path', '']]), file('h')),
    { '/h': 'empty' },
  ],
  [
    'pax path over GNU long name',
    archive(longName('gnu'), pax([['path', 'pax']]), file('h')),
    { '/pax': 'empty' },
  ],
  ['an xattr without a name', archive(pax([['SCHILY.xattr.', 'v']]), file('x')), unsafe],
  ['an xattr with NUL in its name', archive(pax([['SCHILY.xattr.user.a\0b', 'v']]), file('x')), unsafe],
  [
    'an xattr name of 256 bytes',
    archive(pax([[`SCHILY.xattr.user.${'n'.repeat(251)}`, 'v']]), file('x')),
    unsafe,
  ],
  ['an xattr of 65537 bytes', archive(pax([['SCHILY.xattr.user.a', 'v'.repeat(65_537)]]), file('x')), unsafe],
  [
    'an ACL of an unknown user',
    archive(
      pax([['SCHILY.acl.access', 'user::rwx,user:eve:rwx,group::r-x,mask::rwx,other::---']]),
      file('x'),
    ),
    'E_TREE_INVALID',
  ],
  [
    'an ACL with a number over 32 bits',
    archive(
      pax([['SCHILY.acl.access', 'user::rwx,user:9999999999:rwx,group::r-x,mask::rwx,other::---']]),
      file('x'),
    ),
    'E_TREE_INVALID',
  ],
  [
    'an ACL without an owner',
    archive(pax([['SCHILY.acl.access', 'user:1:rwx,mask::rwx']]), file('x')),
    'E_TREE_INVALID',
  ],
  [
    'a binary ACL cut short',
    archive(pax([['SCHILY.xattr.system.posix_acl_access', '\x02\0\0\0\x01']]), file('x')),
    'E_TREE_INVALID',
  ],
]);

cases('sparse maps', [
  [
    'overlapping',
    archive(
      oldSparse({
        name: 'a',
        realSize: 100,
        segments: [
          [0, 20],
          [10, 20],
        ],
        content: 'x'.repeat(40),
      }),
    ),
    corrupt,
  ],
  [
    'going back',
    archive(
      oldSparse({
        name: 'a',
        realSize: 100,
        segments: [
          [50, 20],
          [0, 20],
        ],
        content: 'x'.repeat(40),
      }),
    ),
    corrupt,
  ],
  [
    'past the end',
    archive(oldSparse({ name: 'a', realSize: 100, segments: [[90, 20]], content: 'x'.repeat(20) })),
    corrupt,
  ],
  [
    'more than is stored',
    archive(oldSparse({ name: 'a', realSize: 100, segments: [[0, 50]], content: 'x'.repeat(20) })),
    corrupt,
  ],
  [
    'less than is stored',
    archive(oldSparse({ name: 'a', realSize: 100, segments: [[0, 5]], content: 'x'.repeat(20) })),
    corrupt,
  ],
  [
    'with a negative length',
    archive(
      oldSparse({
        name: 'a',
        realSize: 200,
        segments: [
          [0, 100],
          [100, base256(-50n, 12)],
          [50, 50],
        ],
        content: 'x'.repeat(100),
      }),
    ),
    corrupt,
  ],
  [
    'with a negative offset',
    archive(
      oldSparse({ name: 'a', realSize: 200, segments: [[base256(-5n, 12), 5]], content: 'x'.repeat(5) }),
    ),
    corrupt,
  ],
  [
    'of a file of negative size',
    archive(oldSparse({ name: 'a', realSize: base256(-5n, 12), segments: [], content: '' })),
    corrupt,
  ],
  [
    'with an odd number (0.1)',
    archive(
      pax([
        ['GNU.sparse.size', '100'],
        ['GNU.sparse.map', '0,5,7'],
      ]),
      file('a', 'x'.repeat(5)),
    ),
    corrupt,
  ],
  [
    'that is no map (0.1)',
    archive(
      pax([
        ['GNU.sparse.size', '100'],
        ['GNU.sparse.map', '0,x'],
      ]),
      file('a', 'x'.repeat(5)),
    ),
    corrupt,
  ],
  ['without a size (0.1)', archive(pax([['GNU.sparse.map', '0,5']]), file('a', 'x'.repeat(5))), corrupt],
  [
    'with an odd number (0.0)',
    archive(
      pax([
        ['GNU.sparse.size', '9'],
        ['GNU.sparse.offset', '0'],
      ]),
      file('a'),
    ),
    corrupt,
  ],
  ['without an end (1.0)', archive(sparse10([], '3\n0\n5\n')), corrupt],
  ['without a count (1.0)', archive(sparse10([], 'x'.repeat(600))), corrupt],
  ['with nothing stored (1.0)', archive(sparse10([], '')), corrupt],
  [
    'empty segments are dropped',
    archive(
      oldSparse({
        name: 'a',
        realSize: 3,
        segments: [
          [0, 0],
          [1, 1],
          [3, 0],
        ],
        content: 'x',
      }),
    ),
    { '/a': holds('\0x\0') },
  ],
]);

cases('what is no archive, or more than one', [
  ['empty input', Buffer.alloc(0), format],
  ['text', Buffer.from('this is not a tar\n'.repeat(100)), format],
  ['text of less than a block', Buffer.from('no tar'), format],
  ['only zeros, an empty archive', Buffer.alloc(10_240), {}],
  ['one zero block', Buffer.alloc(512), {}],
  ['a zip', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(2000)]), format],
  ['no zero block at the end', file('a'), truncated],
  ['one zero block at the end', Buffer.concat([file('a'), Buffer.alloc(512)]), { '/a': 'empty' }],
  ['an end within a zero block', Buffer.concat([file('a'), Buffer.alloc(700)]), { '/a': 'empty' }],
  ['zeros after the end', Buffer.concat([archive(file('a')), Buffer.alloc(20_001)]), { '/a': 'empty' }],
  ['garbage after the end', Buffer.concat([archive(file('a')), Buffer.alloc(512, 'x')]), corrupt],
  ['garbage of a few bytes after the end', Buffer.concat([archive(file('a')), Buffer.from('x')]), corrupt],
  ['garbage between members', archive(file('a'), Buffer.alloc(512, 'x'), file('b')), corrupt],
  ['two archives', Buffer.concat([archive(file('a')), archive(file('b'))]), { '/a': 'empty', '/b': 'empty' }],
  [
    'two archives: a g ends with its own',
    Buffer.concat([archive(pax([['path', 'g']], 'g'), file('a')), archive(file('b'))]),
    { '/b': 'empty', '/g': 'empty' },
  ],
  ['a volume that continues another', archive(header({ name: 'a', type: 'M', magic: gnu })), format],
  [
    'a volume label is passed over',
    archive(header({ name: 'label', type: 'V', magic: gnu }), file('a')),
    { '/a': 'empty' },
  ],
  ['an unknown type', archive(header({ name: 'a', type: 'Q' })), corrupt],
  ['a contiguous file is a file', archive(file('a', content, { type: '7' })), { '/a': holds(content) }],
  [
    'v7',
    archive(file('a', content, { magic: v7, type: '\0' }), file('d/', '', { magic: v7, type: '\0' })),
    { '/a': holds(content), '/d': dir },
  ],
  ['a wrong checksum in the first header', archive(file('a', '', { wrongBy: 1 })), format],
  ['a wrong checksum in a later header', archive(file('a'), file('b', '', { wrongBy: 1 })), corrupt],
  ['a checksum of signed bytes', archive(file('\xff\xfe', '', { wrongBy: -512 })), { '/\xff\xfe': 'empty' }],
]);

test('a deep name implies its directories, and a second one shares them', () => {
  const entries = readArchive(archive(longName(longDirs), file('x'), longName(`${longDirs}y`), file('x')));
  assert.equal(entries.length, 1 + 2000 + 2);
});

test('the metadata of a directory named twice is the last', () => {
  const entries = readArchive(
    archive(directory('a', { mode: 0o700 }), directory('a', { mode: 0o751, uid: 7 })),
  );
  assert.deepEqual([entries[1]?.mode, entries[1]?.uid], [0o751, 7]);
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
    const started = process.cpuUsage();
    assert.equal(readArchive(bytes, { chunk: 1 << 20 }).length, 1 + count / 1000 + count);
    const { user, system } = process.cpuUsage(started);
    assert.ok((user + system) / 1e6 < count / 20_000, `${(user + system) / 1e6} s of CPU time`);
  });

/** Writes another name over a header's and mends the checksum by the difference. */
function rename(bytes: Buffer, at: number, name: string): void {
  const sum = (): number => bytes.subarray(at, at + 100).reduce((total, byte) => total + byte, 0);
  const before = sum();
  bytes.fill(0, at, at + 100).write(name, at, 'latin1');
  const stored = Number.parseInt(bytes.toString('latin1', at + 148, at + 154), 8) + sum() - before;
  bytes.write(stored.toString(8).padStart(6, '0'), at + 148, 'latin1');
}

/** Format 1.0 with the map as given. */
function sparse10(records: readonly (readonly [string, string])[], map = '1\n0\n1\n'): Buffer {
  const all = new Map([
    ['GNU.sparse.major', '1'],
    ['GNU.sparse.minor', '0'],
    ['GNU.sparse.name', 'GNUSparse'],
    ['GNU.sparse.realsize', '1'],
    ...records,
  ]);
  const data =
    map === '1\n0\n1\n'
      ? Buffer.concat([padded(Buffer.from(map)), Buffer.from('x')])
      : padded(Buffer.from(map));
  return Buffer.concat([pax([...all]), file('GNUSparseFile.0/x', data)]);
}

/** x over x over g …: the last word is the last x's. */
function tenLevels(): Buffer[] {
  return Array.from({ length: 10 }, (_, level) => pax([['path', `level-${level}`]], level < 5 ? 'g' : 'x'));
}

/** 2046 directories and a file, as the path is within 4,095 bytes. */
function unsafe4095(): Record<string, string> {
  const path = `/${'d/'.repeat(2046)}xx`;
  const parents = Array.from({ length: 2046 }, (_, at) => [`/${'d/'.repeat(at)}d`, dir] as const);
  return Object.fromEntries(
    [...parents, [path, 'empty'], ['/zz', dir]].map(([key, value]) => [key!, value!]),
  );
}
