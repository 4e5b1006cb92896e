import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planDelta } from './delta.ts';
import { noXattrs, parentPath, type Entry } from './entry.ts';

const bare = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };
const root: Entry = { ...bare, path: '/', type: 'directory', mode: 0o755 };
const digest = (content: number): string => String(content).repeat(64).slice(0, 64);

/** A directory as the kernel has it: names of inodes, so that what happens to one name shows under all others. */
class Model {
  readonly inodes = new Map<string, Omit<Entry, 'path' | 'hardlink'>>();

  constructor(entries: readonly Entry[]) {
    for (const entry of entries) this.make(entry);
  }

  make({ path, hardlink, ...inode }: Entry): void {
    const there = this.inodes.get(path);
    if (inode.type === 'directory' && there?.type === 'directory') Object.assign(there, inode);
    else {
      assert.equal(there, undefined, `${path} is there already`);
      if (path !== '/')
        assert.equal(this.inodes.get(parentPath(path))?.type, 'directory', `the parent of ${path} is there`);
      const target = hardlink === undefined ? { ...inode } : this.inodes.get(hardlink);
      assert.ok(target, `${hardlink} is there to be linked`);
      this.inodes.set(path, target);
    }
  }

  remove(path: string): void {
    assert.ok(this.inodes.delete(path), `${path} was there`);
    for (const name of this.inodes.keys()) assert.ok(!name.startsWith(`${path}/`), `${path} is empty`);
  }

  list(): Entry[] {
    const firsts = new Map<object, string>();
    return [...this.inodes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, inode]) => {
        const first = firsts.get(inode);
        if (first === undefined) firsts.set(inode, path);
        return { ...inode, path, ...(first === undefined ? {} : { hardlink: first }) };
      });
  }
}

function applied(before: readonly Entry[], next: readonly Entry[]): Model {
  const model = new Model(before);
  const { remove, restamp, reset, make } = planDelta(before, next);
  for (const { path } of remove) model.remove(path);
  for (const { path, hardlink, ...inode } of restamp) {
    assert.equal(hardlink, undefined);
    Object.assign(model.inodes.get(path)!, inode);
  }
  for (const { path } of reset) assert.equal(model.inodes.get(path)?.type, 'directory');
  const directories = make.filter(({ type }) => type === 'directory');
  for (const entry of directories) model.make(entry);
  for (const entry of make) if (entry.type !== 'directory' && entry.hardlink === undefined) model.make(entry);
  for (const entry of make) if (entry.hardlink !== undefined) model.make(entry);
  return model;
}

/** Paths `/a` … `/c` and one level below; of each an inode, shared by those with the same group. */
const tree = fc
  .array(
    fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'a/x', 'a/y', 'b/x', 'b/y'),
      kind: fc.constantFrom('file', 'file', 'directory', 'symlink'),
      group: fc.integer({ min: 0, max: 2 }),
      content: fc.integer({ min: 1, max: 2 }),
      mtime: fc.integer({ min: 0, max: 1 }),
    }),
    { maxLength: 7 },
  )
  .map((drafts): Entry[] => {
    const entries = new Map<string, Entry>([['/', root]]);
    const groups = new Map<string, Entry>();
    for (const { name, kind, group, content, mtime } of drafts.toSorted((a, b) =>
      a.name < b.name ? -1 : 1,
    )) {
      const path = `/${name}`;
      if (entries.get(parentPath(path))?.type !== 'directory') continue;
      if (kind === 'directory') entries.set(path, { ...root, path, mtime });
      else if (kind === 'symlink')
        entries.set(path, { ...bare, path, type: 'symlink', target: 'a', size: 1, mtime });
      else if (!entries.has(path)) {
        const first = group === 0 ? undefined : groups.get(String(group));
        const own: Entry = { ...bare, path, type: 'file', size: 1, digest: digest(content), mtime };
        if (group !== 0 && first === undefined) groups.set(String(group), own);
        entries.set(path, first === undefined ? own : { ...first, path, hardlink: first.path });
      }
    }
    return relink([...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1)));
  });

/** A link whose first name was replaced is a file of its own. */
function relink(entries: readonly Entry[]): Entry[] {
  const files = new Set(
    entries.filter(({ type, hardlink }) => type === 'file' && hardlink === undefined).map(({ path }) => path),
  );
  return entries.map(({ hardlink, ...entry }) =>
    hardlink !== undefined && files.has(hardlink) ? { ...entry, hardlink } : entry,
  );
}

test('what is done to the one tree makes the other of it', () => {
  fc.assert(
    fc.property(tree, tree, (before, next) => {
      assert.deepEqual(applied(before, next).list(), next);
    }),
    { numRuns: 2000 },
  );
});

test('names that join an inode are the same inode', () => {
  const file: Entry = { ...bare, path: '/b', type: 'file', size: 1, digest: digest(1) };
  const linked = (...names: string[]): Entry[] => [
    root,
    ...names.map((name, at): Entry => ({
      ...file,
      path: `/${name}`,
      ...(at === 0 ? {} : { hardlink: `/${names[0]}` }),
    })),
  ];
  const cases = [linked('b'), linked('a', 'b'), linked('b', 'c'), linked('a', 'b', 'c'), linked('c')];
  for (const before of cases) for (const next of cases) assert.deepEqual(applied(before, next).list(), next);
});

test('equal trees need nothing; another time alone needs no new inode', () => {
  const file: Entry = { ...bare, path: '/f', type: 'file', size: 1, digest: digest(1) };
  const nothing = { remove: [], restamp: [], reset: [], make: [] };
  assert.deepEqual(planDelta([root, file], [root, file]), nothing);
  const later = { ...file, mtime: 9 };
  assert.deepEqual(planDelta([root, file], [root, later]).restamp, [later]);
  assert.deepEqual(planDelta([root, file], [root, later]).make, []);
});

test('content is never written into an inode that is there', () => {
  const file: Entry = { ...bare, path: '/f', type: 'file', size: 1, digest: digest(1) };
  const { remove, restamp, make } = planDelta([root, file], [root, { ...file, digest: digest(2) }]);
  assert.deepEqual(
    [remove, restamp, make].map((entries) => entries.map(({ path }) => path)),
    [['/f'], [], ['/', '/f']],
  );
});
