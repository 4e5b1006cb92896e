import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { findProblem } from './canonical.ts';
import { impliedDirectory, parentPath, type Entry } from './entry.ts';
import { mergeThree } from './three-way.ts';

const directory = (path: string, mode = 0o755, mtime = 0): Entry => ({
  ...impliedDirectory(path),
  ...{ mode, mtime },
});

const file = (path: string, content: number, mode = 0o644): Entry => ({
  ...impliedDirectory(path),
  ...{ type: 'file', size: content, digest: String(content % 10).repeat(64), mode },
});

const linked = (path: string, first: Entry): Entry => ({ ...first, path, hardlink: first.path });

const tree = (...entries: Entry[]): Entry[] => [directory('/'), ...entries];

test('a mode changed here and a longer file there is a conflict, not a cut file', () => {
  const base = tree(file('/f', 1));
  const mine = tree(file('/f', 1, 0o600));
  const next = tree(file('/f', 9));
  assert.deepEqual(mergeThree({ base, mine, next }).conflicts, ['/f']);
  assert.deepEqual(mergeThree({ base, mine, next, take: 'mine' }).entries, mine);
  assert.deepEqual(mergeThree({ base, mine, next, take: 'next' }).entries, next);
});

test('a file that is gone there and whose mode was changed here is a conflict', () => {
  const base = tree(file('/f', 1));
  const mine = tree(file('/f', 1, 0o600));
  const next = tree();
  assert.deepEqual(mergeThree({ base, mine, next }).conflicts, ['/f']);
  assert.deepEqual(mergeThree({ base, mine: next, next: mine }).conflicts, ['/f']);
  assert.deepEqual(mergeThree({ base, mine, next, take: 'mine' }).entries, mine);
});

test('changes of one side are kept, and the same change of both', () => {
  const { entries, conflicts } = mergeThree({
    base: tree(file('/a', 1), file('/b', 1), file('/both', 1), file('/gone', 1)),
    mine: tree(file('/a', 2), file('/b', 1), file('/both', 3), file('/gone', 1), file('/own', 1)),
    next: tree(file('/a', 1), file('/b', 5), file('/both', 3)),
  });
  assert.deepEqual(conflicts, []);
  assert.deepEqual(entries, tree(file('/a', 2), file('/b', 5), file('/both', 3), file('/own', 1)));
});

test('times of directories do not count, their modes do', () => {
  const base = tree(directory('/d', 0o755, 1));
  const next = tree(directory('/d', 0o755, 3));
  assert.deepEqual(mergeThree({ base, mine: tree(directory('/d', 0o755, 2)), next }), {
    entries: next,
    conflicts: [],
  });
  const own = tree(directory('/d', 0o700, 2));
  assert.deepEqual(mergeThree({ base, mine: own, next }), { entries: own, conflicts: [] });
  assert.deepEqual(mergeThree({ base, mine: own, next: tree(directory('/d', 0o711)) }).conflicts, ['/d']);
});

test('times alone are no conflict: any other change comes first, else the newer time', () => {
  const at = (entry: Entry, mtime: number): Entry => ({ ...entry, mtime });
  const base = tree(file('/f', 1));
  const touched = tree(at(file('/f', 1), 5));
  const rebuilt = tree(at(file('/f', 1), 9));
  const changed = tree(at(file('/f', 2), 9));
  const merge = (mine: Entry[], next: Entry[]) => mergeThree({ base, mine, next, take: 'mine' });
  assert.deepEqual(merge(touched, rebuilt), { entries: rebuilt, conflicts: [] });
  assert.deepEqual(merge(touched, base), { entries: touched, conflicts: [] });
  assert.deepEqual(merge(touched, changed), { entries: changed, conflicts: [] });
  assert.deepEqual(merge(changed, touched), { entries: changed, conflicts: [] });
  assert.deepEqual(merge(tree(), touched), { entries: tree(), conflicts: [] });
  assert.deepEqual(merge(tree(at(file('/f', 2), 5)), changed), { entries: changed, conflicts: [] });
  assert.deepEqual(merge(tree(at(file('/f', 3), 5)), changed).conflicts, ['/f']);
});

test('what lies below a directory that the other side took away is a conflict', () => {
  const base = tree(directory('/d'), file('/d/a', 1));
  const mine = tree(directory('/d'), file('/d/a', 1), directory('/d/s'), file('/d/s/own', 1));
  for (const next of [tree(), tree(file('/d', 2))]) {
    const { entries, conflicts } = mergeThree({ base, mine, next });
    assert.deepEqual(conflicts, ['/d/s', '/d/s/own']);
    assert.deepEqual(entries, next);
    assert.deepEqual(
      mergeThree({ base, mine, next, take: 'mine' }).entries,
      tree(directory('/d'), directory('/d/s'), file('/d/s/own', 1)),
    );
  }
});

test('names stay one inode, come together and part as either side has it', () => {
  const a = file('/a', 1);
  const base = tree(a, linked('/b', a), linked('/c', a));
  const withD = tree(a, linked('/b', a), linked('/c', a), linked('/d', a));
  assert.deepEqual(mergeThree({ base, mine: withD, next: base }).entries, withD);
  const parted = tree(a, linked('/b', a), file('/c', 1));
  assert.deepEqual(mergeThree({ base, mine: parted, next: base }).entries, parted);
  assert.deepEqual(mergeThree({ base, mine: base, next: parted }).entries, parted);
  // The first name goes: the next one is the file.
  const b = file('/b', 1);
  assert.deepEqual(
    mergeThree({ base, mine: tree(b, linked('/c', b)), next: withD }).entries,
    tree(b, linked('/c', b), linked('/d', b)),
  );
  // One name written to here is a file of its own.
  assert.deepEqual(
    mergeThree({ base, mine: tree(a, linked('/b', a), file('/c', 7)), next: base }).entries,
    tree(a, linked('/b', a), file('/c', 7)),
  );
});

const paths = ['/a', '/a/x', '/a/y', '/a/y/z', '/b', '/b/x', '/c'] as const;

/** A tree as the digits of its paths: 0 is absent, 1 and 2 are directories, the others files. */
const trees = fc
  .array(fc.integer({ min: 0, max: 4 }), { minLength: paths.length, maxLength: paths.length })
  .map((kinds) => {
    const entries = tree();
    const directories = new Set(['/']);
    for (const [at, path] of paths.entries()) {
      const kind = kinds[at]!;
      if (kind === 0 || !directories.has(parentPath(path))) continue;
      if (kind <= 2) directories.add(path);
      entries.push(kind <= 2 ? directory(path, 0o700 + kind) : file(path, kind));
    }
    // Equal files are one inode, or not.
    if (kinds[0]! % 2 === 0) return entries;
    const firsts = new Map<number, Entry>();
    return entries.map((entry) => {
      const first = firsts.get(entry.size);
      if (entry.type === 'file' && first === undefined) firsts.set(entry.size, entry);
      return entry.type === 'file' && first !== undefined ? linked(entry.path, first) : entry;
    });
  });

const text = (entries: readonly Entry[], path: string): string => {
  const found = entries.find((entry) => entry.path === path);
  return found === undefined ? '' : `${found.type} ${found.size} ${found.mode}`;
};

test('property: as a table of words has it, and always a canonical tree', () => {
  fc.assert(
    fc.property(trees, trees, trees, (base, mine, next) => {
      const merged = mergeThree({ base, mine, next });
      const wrong = new Set<string>();
      const wanted = new Map([['/', text(next, '/')]]);
      for (const path of paths) {
        const [before, own, newer] = [text(base, path), text(mine, path), text(next, path)];
        if (own !== before && newer !== before && own !== newer) wrong.add(path);
        wanted.set(path, own === before ? newer : own);
      }
      for (const path of paths) {
        if (wrong.has(path) || wanted.get(path) === '') continue;
        const parent = parentPath(path);
        if (!wanted.get(parent)!.startsWith('directory') && !wrong.has(parent)) wrong.add(path);
      }
      for (const path of wrong) assert.ok(merged.conflicts.includes(path), path);
      if (wrong.size === 0) {
        assert.deepEqual(merged.conflicts, []);
        for (const path of paths) assert.equal(text(merged.entries, path), wanted.get(path), path);
      }
      for (const take of ['mine', 'next'] as const) {
        const decided = mergeThree({ base, mine, next, take });
        assert.equal(findProblem(decided.entries), undefined);
        assert.deepEqual(decided.conflicts, merged.conflicts);
        const chosen = take === 'mine' ? mine : next;
        for (const path of decided.conflicts)
          assert.equal(text(decided.entries, path), text(chosen, path), `${take} ${path}`);
      }
    }),
    { numRuns: 3000 },
  );
});

test('property: where one side changed nothing, the other is the result', () => {
  fc.assert(
    fc.property(trees, trees, (base, other) => {
      const nothing = { entries: other, conflicts: [] };
      assert.deepEqual(mergeThree({ base, mine: base, next: other }), nothing);
      assert.deepEqual(mergeThree({ base, mine: other, next: base }), nothing);
      assert.deepEqual(mergeThree({ base, mine: other, next: other }), nothing);
    }),
  );
});
