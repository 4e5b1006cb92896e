/** Extended headers and sparse maps that make no sense, and input that is no archive or more than one. */
import { holds } from '../support/read-archive.ts';
import {
  archive,
  base256,
  file,
  gnu,
  header,
  longName,
  oldSparse,
  pax,
  sparse10,
  symlink,
  v7,
} from '../support/tar-builder.ts';
import { cases } from './cases.ts';

const content = 'content';
const dir = 'directory';
const unsafe = 'E_ARCHIVE_UNSAFE';
const corrupt = 'E_ARCHIVE_CORRUPT';
const format = 'E_ARCHIVE_FORMAT';
const truncated = 'E_ARCHIVE_TRUNCATED';

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

/** x over x over g …: the last word is the last x's. */
function tenLevels(): Buffer[] {
  return Array.from({ length: 10 }, (_, level) => pax([['path', `level-${level}`]], level < 5 ? 'g' : 'x'));
}
