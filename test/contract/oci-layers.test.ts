/**
 * What layers come to: each rule of the OCI image specification's "Image Layer Filesystem Changeset" by an example,
 * and random stacks of layers against a file system that is a map of paths.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { isCellarError } from '../../src/core/errors.ts';
import { checkTree } from '../../src/tree/canonical.ts';
import { holds, outcomeOf, readLayers } from '../support/read-archive.ts';
import { archive, directory, file, hardlink, header, symlink } from '../support/tar-builder.ts';

type Members = readonly Buffer[];

const stacks: readonly (readonly [
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
      [file('a/c'), file('.wh.a')],
    ],
    { '/a': 'directory', '/a/c': 'empty' },
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
    [[symlink('a', '/etc')], [file('a/b'), file('.wh.a')]],
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

suite('stacks of layers', () => {
  for (const [name, layers, wanted] of stacks)
    test(name, () => {
      const tars = layers.map((members) => archive(...members));
      assert.deepEqual(
        outcomeOf(() => readLayers(tars)),
        wanted,
      );
    });
});

test('directories have the metadata of the last layer that says any', () => {
  const mode = (layers: readonly Members[]): number =>
    readLayers(layers.map((members) => archive(...members))).find(({ path }) => path === '/a')!.mode;
  const below = [directory('a/', { mode: 0o700 })];
  assert.equal(mode([below, [file('a/b')]]), 0o700);
  assert.equal(mode([below, [file('a/.wh..wh..opq'), file('a/b')]]), 0o700);
  assert.equal(mode([below, [directory('a/', { mode: 0o711 })]]), 0o711);
  assert.equal(mode([below, [file('.wh.a'), file('a/b')]]), 0o755);
});

test('random stacks of layers are what a simple file system makes of them', () => {
  fc.assert(
    fc.property(fc.array(layer, { minLength: 1, maxLength: 5 }), (layers) => {
      const steps = layers.map((wishes, index) => possible(wishes, index));
      let wanted: string | Map<string, Node> = new Map([['/', { kind: 'directory', id: 0 }]]);
      for (const one of steps) if (typeof wanted !== 'string') wanted = model(wanted, one);
      assert.deepEqual(found(steps.map(pack)), typeof wanted === 'string' ? wanted : namesOf(wanted));
    }),
    { numRuns: 1000 },
  );
});

type Kind = 'file' | 'directory' | 'symlink' | 'hardlink' | 'whiteout' | 'opaque';

/** `id` becomes the mtime, so that every member can be told from every other. */
interface Step {
  readonly kind: Kind;
  readonly path: string;
  readonly target: string;
  readonly id: number;
}

interface Node {
  readonly kind: string;
  readonly id: number;
}

const somePath = fc
  .array(fc.constantFrom('a', 'b', 'a.'), { minLength: 1, maxLength: 3 })
  .map((names) => `/${names.join('/')}`);
const kinds: readonly Kind[] = ['file', 'file', 'directory', 'symlink', 'hardlink', 'whiteout', 'opaque'];
const layer = fc.array(fc.record({ kind: fc.constantFrom(...kinds), path: somePath, target: somePath }), {
  maxLength: 8,
});

/** Without members that contradict others of the same layer. */
function possible(wishes: readonly Omit<Step, 'id'>[], index: number): Step[] {
  const own = new Map<string, 'directory' | 'other'>();
  return wishes.flatMap((wish, at) => {
    const isMark = wish.kind === 'whiteout' || wish.kind === 'opaque';
    const above = wish.kind === 'opaque' ? [...parents(wish.path), wish.path] : parents(wish.path);
    const become = wish.kind === 'directory' ? 'directory' : 'other';
    if (above.some((path) => own.get(path) === 'other')) return [];
    if (!isMark && own.has(wish.path) && (become === 'other' || own.get(wish.path) === 'other')) return [];
    if (wish.kind === 'hardlink' && wish.target === wish.path) return [];
    for (const path of above) own.set(path, 'directory');
    if (!isMark) own.set(wish.path, become);
    return [{ ...wish, id: 100 * (index + 1) + at }];
  });
}

/** The file system after one more layer, or the code of what is refused. */
function model(below: ReadonlyMap<string, Node>, steps: readonly Step[]): string | Map<string, Node> {
  const own = new Map<string, Node>();
  const implied = new Set<string>();
  for (const { kind, path, target, id } of steps) {
    for (const above of kind === 'opaque' ? [...parents(path), path] : parents(path)) {
      if (own.has(above)) continue;
      own.set(above, { kind: 'directory', id: 0 });
      implied.add(above);
    }
    if (kind === 'whiteout' || kind === 'opaque') continue;
    const node = kind === 'hardlink' ? (own.get(target) ?? below.get(target)) : { kind, id };
    if (node === undefined || (kind === 'hardlink' && node.kind === 'directory')) return 'E_ARCHIVE_UNSAFE';
    own.set(path, node);
    implied.delete(path);
  }
  const tree = new Map(below);
  const removeBelow = (path: string): void => {
    for (const name of tree.keys()) if (name.startsWith(`${path}/`)) tree.delete(name);
  };
  for (const { kind, path } of steps) {
    if (kind === 'whiteout' || kind === 'opaque') removeBelow(path);
    if (kind === 'whiteout') tree.delete(path);
  }
  for (const [path, node] of [...own].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const present = tree.get(path);
    if (implied.has(path)) {
      if (present?.kind === 'symlink') return 'E_TREE_INVALID';
      const isWanted = [...own.keys()].some((name) => name.startsWith(`${path}/`) && !implied.has(name));
      if (!isWanted || present?.kind === 'directory') continue;
    }
    if (node.kind !== 'directory') removeBelow(path);
    tree.set(path, node);
  }
  return tree;
}

function parents(path: string): string[] {
  const names = path.split('/').slice(1, -1);
  return names.map((_, at) => `/${names.slice(0, at + 1).join('/')}`);
}

function pack(steps: readonly Step[]): Buffer {
  return archive(
    ...steps.map(({ kind, path, target, id }) => {
      const name = path.slice(1);
      if (kind === 'directory') return directory(`${name}/`, { mtime: id });
      if (kind === 'symlink') return header({ name, type: '2', link: 'x', mtime: id });
      if (kind === 'hardlink') return hardlink(name, target.slice(1));
      if (kind === 'opaque') return file(`${name}/.wh..wh..opq`);
      if (kind === 'whiteout') return file(name.replace(/[^/]*$/, '.wh.$&'));
      return file(name, '', { mtime: id });
    }),
  );
}

function found(layers: readonly Buffer[]): unknown {
  try {
    const entries = readLayers(layers);
    checkTree(entries);
    return entries.map(({ path, type, mtime, hardlink: first = path }) => [path, type, mtime, first]);
  } catch (error) {
    if (isCellarError(error)) return error.code;
    throw error;
  }
}

function namesOf(tree: ReadonlyMap<string, Node>): unknown {
  const firsts = new Map<Node, string>();
  return [...tree.keys()].sort().map((path) => {
    const node = tree.get(path)!;
    if (!firsts.has(node)) firsts.set(node, path);
    return [path, node.kind, node.id, firsts.get(node)];
  });
}
