/**
 * What layers come to: each rule of the OCI image specification's "Image Layer Filesystem Changeset" by an example,
 * and random stacks of layers against a file system that is a map of paths.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { isCellarError } from '../../src/core/errors.ts';
import { findProblem } from '../../src/tree/canonical.ts';
import { stacks, type Members } from '../support/oci-stacks.ts';
import { outcomeOf, readLayers } from '../support/read-archive.ts';
import { archive, directory, file, hardlink, header } from '../support/tar-builder.ts';

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
    const step = { ...wish, id: 100 * (index + 1) + at };
    if (isMark(wish)) return [step];
    const above = parents(wish.path);
    const become = wish.kind === 'directory' ? 'directory' : 'other';
    if (above.some((path) => own.get(path) === 'other')) return [];
    if (own.has(wish.path) && (become === 'other' || own.get(wish.path) === 'other')) return [];
    if (wish.kind === 'hardlink' && wish.target === wish.path) return [];
    for (const path of above) own.set(path, 'directory');
    own.set(wish.path, become);
    return [step];
  });
}

/** The file system after one more layer, or the code of what is refused. */
function model(below: ReadonlyMap<string, Node>, steps: readonly Step[]): string | Map<string, Node> {
  const own = new Map<string, Node>();
  const implied = new Set<string>();
  for (const { kind, path, target, id } of steps.filter((step) => !isMark(step))) {
    for (const above of parents(path)) {
      if (own.has(above)) continue;
      own.set(above, { kind: 'directory', id: 0 });
      implied.add(above);
    }
    const node = kind === 'hardlink' ? (own.get(target) ?? below.get(target)) : { kind, id };
    if (node === undefined || (kind === 'hardlink' && node.kind === 'directory')) return 'E_ARCHIVE_UNSAFE';
    own.set(path, node);
    implied.delete(path);
  }
  const tree = new Map(below);
  const removeBelow = (path: string): void => {
    for (const name of tree.keys()) if (name.startsWith(`${path}/`)) tree.delete(name);
  };
  const removed = new Set(steps.filter(({ kind }) => kind === 'whiteout').map(({ path }) => path));
  for (const { kind, path } of steps.filter(isMark)) {
    const above = kind === 'opaque' ? [...parents(path), path] : parents(path);
    const ends = above.findLastIndex((name) => removed.has(name));
    if (above.slice(ends + 1).some((name) => below.get(name)?.kind === 'symlink')) return 'E_TREE_INVALID';
    removeBelow(path);
    if (kind === 'whiteout') tree.delete(path);
  }
  for (const [path, node] of [...own].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const present = tree.get(path);
    if (implied.has(path)) {
      if (present?.kind === 'symlink') return 'E_TREE_INVALID';
      if (present?.kind === 'directory') continue;
    }
    if (node.kind !== 'directory') removeBelow(path);
    tree.set(path, node);
  }
  return tree;
}

function isMark({ kind }: Pick<Step, 'kind'>): boolean {
  return kind === 'whiteout' || kind === 'opaque';
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
    assert.equal(findProblem(entries), undefined);
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
