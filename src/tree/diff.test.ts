import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffTrees, type Aspect } from './diff.ts';
import { noXattrs, type Entry } from './entry.ts';
import { manifestDigest } from './manifest/write.ts';

const bare = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };
const root: Entry = { ...bare, path: '/', type: 'directory' };
const [one, two] = ['11'.repeat(32), '22'.repeat(32)];
const file: Entry = { ...bare, path: '/f', type: 'file', size: 3, digest: one };

function aspects(a: Entry, b: Entry): readonly Aspect[] {
  const { added, removed, changed } = diffTrees([root, a], [root, b]);
  assert.deepEqual([added, removed], [[], []]);
  return changed[0]?.changed ?? [];
}

test('each field has its aspect', () => {
  const link: Entry = { ...bare, path: '/f', type: 'symlink', target: 'a', size: 1 };
  const device: Entry = { ...bare, path: '/f', type: 'char', rdev: 1 };
  assert.deepEqual(aspects(file, file), []);
  assert.deepEqual(aspects(file, { ...file, digest: two }), ['content']);
  assert.deepEqual(aspects(file, { ...file, mode: 0o600 }), ['mode']);
  assert.deepEqual(aspects(file, { ...file, uid: 1 }), ['owner']);
  assert.deepEqual(aspects(file, { ...file, gid: 1 }), ['owner']);
  assert.deepEqual(aspects(file, { ...file, mtimeNsec: 1 }), ['mtime']);
  assert.deepEqual(aspects(file, { ...file, xattrs: [['user.a', '']] }), ['xattrs']);
  assert.deepEqual(aspects(file, { ...file, xattrs: [] }), []);
  assert.deepEqual(aspects(link, { ...link, target: 'b' }), ['content']);
  assert.deepEqual(aspects(device, { ...device, rdev: 2 }), ['content']);
  assert.deepEqual(aspects(device, { ...device, type: 'block' }), ['type']);
  assert.deepEqual(aspects(file, link), ['content', 'type']);
});

test('added, removed and changed carry types and sizes', () => {
  const a = [root, { ...file, path: '/a' }, { ...file, path: '/b' }];
  const b = [
    root,
    { ...file, path: '/b', size: 9, digest: two },
    { ...bare, path: '/c', type: 'fifo' } as Entry,
  ];
  assert.deepEqual(diffTrees(a, b), {
    added: [{ path: '/c', type: 'fifo', size: 0, changed: [] }],
    removed: [{ path: '/a', type: 'file', size: 3, changed: [] }],
    changed: [{ path: '/b', type: 'file', size: 9, oldType: 'file', oldSize: 3, changed: ['content'] }],
  });
});

test('links matter between names that both trees have', () => {
  const names = ['/a', '/b', '/c'].map((path) => ({ ...file, path }));
  const linked = names.map((entry, at) => (at === 0 ? entry : { ...entry, hardlink: '/a' }));
  const paths = (a: Entry[], b: Entry[]) =>
    diffTrees([root, ...a], [root, ...b]).changed.map(({ path }) => path);
  assert.deepEqual(paths(names, linked), ['/b', '/c']);
  assert.deepEqual(paths(linked, names), ['/b', '/c']);
  assert.deepEqual(paths(linked, [names[1]!, { ...names[2]!, hardlink: '/b' }]), []);
  assert.deepEqual(paths(linked, [names[1]!, names[2]!]), ['/c']);
});

test('no difference is reported exactly when the digests are equal', () => {
  fc.assert(
    fc.property(tree(), tree(), (a, b) => {
      const { added, removed, changed } = diffTrees(a, b);
      assert.equal(
        added.length + removed.length + changed.length === 0,
        manifestDigest(a) === manifestDigest(b),
      );
      const back = diffTrees(b, a);
      assert.deepEqual([back.added, back.removed], [removed, added]);
      assert.deepEqual(
        back.changed.map(({ path }) => path),
        changed.map(({ path }) => path),
      );
    }),
    { numRuns: 300 },
  );
});

/** Trees so small that two of them are often equal. */
function tree(): fc.Arbitrary<Entry[]> {
  const choice = fc.constantFrom('none', 'file', 'link', 'other');
  return fc.array(choice, { minLength: 3, maxLength: 3 }).map((choices) => {
    const entries: Entry[] = [root];
    let first: string | undefined;
    for (const [at, kind] of choices.entries()) {
      const path = `/${'abc'[at]}`;
      if (kind === 'other') entries.push({ ...file, path, mode: 0o600 });
      if (kind === 'file') entries.push({ ...file, path });
      if (kind !== 'link') continue;
      entries.push(first === undefined ? { ...file, path } : { ...file, path, hardlink: first });
      first ??= path;
    }
    return entries;
  });
}
