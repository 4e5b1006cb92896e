/** Archives whose names do harm: out of the tree, over each other, to nowhere, too long. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { holds, readArchive } from '../support/read-archive.ts';
import {
  archive,
  directory,
  file,
  hardlink,
  header,
  longName,
  pax,
  sparse10,
  symlink,
} from '../support/tar-builder.ts';
import { cases } from './cases.ts';

const content = 'content';
const dir = 'directory';
const unsafe = 'E_ARCHIVE_UNSAFE';

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

test('the metadata of a directory named twice is the last', () => {
  const entries = readArchive(
    archive(directory('a', { mode: 0o700 }), directory('a', { mode: 0o751, uid: 7 })),
  );
  assert.deepEqual([entries[1]?.mode, entries[1]?.uid], [0o751, 7]);
});

/** 2046 directories and a file, as the path is within 4,095 bytes. */
function unsafe4095(): Record<string, string> {
  const path = `/${'d/'.repeat(2046)}xx`;
  const parents = Array.from({ length: 2046 }, (_, at) => [`/${'d/'.repeat(at)}d`, dir] as const);
  return Object.fromEntries(
    [...parents, [path, 'empty'], ['/zz', dir]].map(([key, value]) => [key!, value!]),
  );
}
