/**
 * Stacks of layers and what each comes to: the rules of the OCI image specification's "Image Layer Filesystem
 * Changeset" by example, and what it leaves open.
 */
import { holds } from './read-archive.ts';
import { directory, file, hardlink, symlink } from './tar-builder.ts';

export type Members = readonly Buffer[];

/** Members of each layer from the lowest up; the entries, or the code of the refusal. */
export const stacks: readonly (readonly [
  name: string,
  layers: readonly Members[],
  wanted: string | Record<string, string>,
])[] = [
  ['no layers', [], {}],
  ['an empty layer', [[], [file('a', '1')], []], { '/a': holds('1') }],
  ['a later layer wins', [[file('a', '1')], [file('./a', '2')]], { '/a': holds('2') }],
  ['a whiteout', [[file('a', '1'), file('b')], [file('.wh.a')]], { '/b': 'empty' }],
  [
    'a whiteout of a directory takes what is in it',
    [[directory('a/'), file('a/b'), directory('a/c/'), file('a/c/d'), file('a.')], [file('.wh.a')]],
    { '/a.': 'empty' },
  ],
  ['a whiteout of nothing', [[file('a')], [file('.wh.b'), file('c/.wh.d')]], { '/a': 'empty' }],
  ['a whiteout in the lowest layer', [[file('.wh.a'), file('a')]], { '/a': 'empty' }],
  [
    'a whiteout hides nothing of its own layer, before or after it',
    [
      [file('a', '1'), file('b', '1')],
      [file('.wh.a'), file('a', '2'), file('b', '2'), file('.wh.b')],
    ],
    { '/a': holds('2'), '/b': holds('2') },
  ],
  [
    'a directory made anew holds only what its layer has',
    [
      [directory('a/', { mode: 0o700 }), file('a/b')],
      [file('.wh.a'), file('a/c')],
    ],
    { '/a': 'directory', '/a/c': 'empty' },
  ],
  [
    'the same, whatever the order of the members',
    [
      [directory('a/', { mode: 0o700 }), file('a/b'), symlink('c', '/etc')],
      [file('a/c'), file('c/d'), file('.wh.a'), file('.wh.c')],
    ],
    { '/a': 'directory', '/a/c': 'empty', '/c': 'directory', '/c/d': 'empty' },
  ],
  [
    'an opaque directory, its mark first',
    [
      [directory('a/'), file('a/b'), file('c')],
      [file('a/.wh..wh..opq'), file('a/d')],
    ],
    { '/a': 'directory', '/a/d': 'empty', '/c': 'empty' },
  ],
  [
    'an opaque directory, its mark last',
    [
      [directory('a/'), file('a/b'), file('c')],
      [file('a/d'), file('a/.wh..wh..opq')],
    ],
    { '/a': 'directory', '/a/d': 'empty', '/c': 'empty' },
  ],
  ['an opaque root', [[file('a')], [file('b'), file('.wh..wh..opq')]], { '/b': 'empty' }],
  ['an opaque directory that is not there', [[file('b')], [file('a/.wh..wh..opq')]], { '/b': 'empty' }],
  [
    'an opaque directory shows what later layers bring',
    [[file('a/b')], [file('a/.wh..wh..opq')], [file('a/c')]],
    { '/a': 'directory', '/a/c': 'empty' },
  ],
  ['a file over a directory', [[file('a/b')], [file('a', '2')]], { '/a': holds('2') }],
  [
    'a directory over a file',
    [[file('a', '1')], [directory('a/'), file('a/b')]],
    { '/a': 'directory', '/a/b': 'empty' },
  ],
  ['a symlink over a directory', [[file('a/b')], [symlink('a', 'c')]], { '/a': '-> c' }],
  [
    'a directory over a symlink',
    [
      [symlink('a', 'c'), directory('c/')],
      [directory('a/'), file('a/b')],
    ],
    { '/a': 'directory', '/a/b': 'empty', '/c': 'directory' },
  ],
  [
    'a directory that is only implied over a file',
    [[file('a', '1')], [file('a/b')]],
    { '/a': 'directory', '/a/b': 'empty' },
  ],
  [
    'whiteouts below a directory that its layer makes a symlink',
    [
      [file('a/b'), file('c/b', '1')],
      [file('a/.wh.b'), symlink('a', 'c'), file('a/.wh..wh..opq')],
    ],
    { '/a': '-> c', '/c': 'directory', '/c/b': holds('1') },
  ],
  ['a whiteout below a file', [[file('a', '1')], [file('a/.wh.b')]], { '/a': holds('1') }],
  [
    'gone and back',
    [[file('a/b', '1')], [file('.wh.a')], [file('a/c', '3')]],
    { '/a': 'directory', '/a/c': holds('3') },
  ],
  [
    'a hard link to a file below',
    [[file('a', '1')], [hardlink('b', 'a')]],
    { '/a': holds('1'), '/b': '= /a' },
  ],
  [
    'a hard link to a file that its layer takes away, before or after it',
    [
      [file('a', '1'), file('c/d', '2')],
      [file('.wh.a'), hardlink('b', 'a'), hardlink('e', 'c/d'), file('.wh.c')],
    ],
    { '/b': holds('1'), '/e': holds('2') },
  ],
  [
    'hard links to two names of one inode',
    [
      [file('a', '1'), hardlink('b', 'a')],
      [hardlink('c', 'a'), hardlink('d', 'b'), hardlink('e', 'd')],
    ],
    { '/a': holds('1'), '/b': '= /a', '/c': '= /a', '/d': '= /a', '/e': '= /a' },
  ],
  [
    'a hard link prefers its own layer',
    [[file('a', '1')], [file('a', '2'), hardlink('b', 'a')]],
    { '/a': holds('2'), '/b': '= /a' },
  ],
  [
    'a hard link before its target is to the one below',
    [[file('a', '1')], [hardlink('b', 'a'), file('a', '2')]],
    { '/a': holds('2'), '/b': holds('1') },
  ],
  [
    'a name replaced leaves the others what they were',
    [[file('a', '1'), hardlink('b', 'a'), hardlink('c', 'a')], [file('a', '2')]],
    { '/a': holds('2'), '/b': holds('1'), '/c': '= /b' },
  ],
  [
    'a hard link to a symlink below',
    [[symlink('a', 'x')], [hardlink('b', 'a')]],
    { '/a': '-> x', '/b': '= /a' },
  ],
  ['a hard link to nothing', [[file('a')], [hardlink('b', 'c')]], 'E_ARCHIVE_UNSAFE'],
  ['a hard link to itself below', [[file('a')], [hardlink('a', 'a')]], 'E_ARCHIVE_UNSAFE'],
  ['a hard link to a directory below', [[directory('a/')], [hardlink('b', 'a')]], 'E_ARCHIVE_UNSAFE'],
  [
    'a hard link through a symlink below',
    [[symlink('a', 'd'), file('d/f')], [hardlink('b', 'a/f')]],
    'E_ARCHIVE_UNSAFE',
  ],
  ['a name below a symlink of another layer', [[symlink('a', '/etc')], [file('a/b')]], 'E_TREE_INVALID'],
  ['a whiteout below a symlink', [[symlink('a', 'c'), file('c/b')], [file('a/.wh.b')]], 'E_TREE_INVALID'],
  [
    'a name below a symlink that its layer takes away',
    [[symlink('a', '/etc')], [file('.wh.a'), file('a/b')]],
    { '/a': 'directory', '/a/b': 'empty' },
  ],
  ['a name below a symlink of its own layer', [[symlink('a', 'c'), file('a/b')]], 'E_ARCHIVE_UNSAFE'],
  ["'..' in a whiteout's directory", [[file('a')], [file('b/../.wh.a')]], 'E_ARCHIVE_UNSAFE'],
  ["a whiteout of '..'", [[file('a')], [file('b/.wh...')]], 'E_TREE_INVALID'],
  ["a whiteout of '.'", [[file('a')], [file('b/.wh..')]], 'E_TREE_INVALID'],
  ['a whiteout without a name', [[file('a')], [file('.wh.')]], 'E_TREE_INVALID'],
  [
    'what aufs kept for itself',
    [
      [
        file('.wh..wh.aufs'),
        directory('.wh..wh.plnk/'),
        file('.wh..wh.plnk/1', '1'),
        hardlink('a', '.wh..wh.plnk/1'),
      ],
    ],
    { '/a': holds('1') },
  ],
  ['a whiteout of a hidden file', [[file('.a'), file('a')], [file('.wh..a')]], { '/a': 'empty' }],
];
