import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromText } from '../core/bytes.ts';
import type { ErrorCode } from '../core/error-registry.ts';
import { isCellarError } from '../core/errors.ts';
import { checkTree } from './canonical.ts';
import { noXattrs, type Entry } from './entry.ts';
import { mergeTrees, type MergeOptions } from './merge.ts';

const bare = { mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };

/** Of `name`, `name=content`, `name/` and `name->first`, parents first. */
function tree(...names: string[]): Entry[] {
  const entries = names.map((name): Entry => {
    const [path = '', first] = name.split('->');
    const [plain = '', content = ''] = path.split('=');
    if (plain.endsWith('/')) return { ...bare, path: `/${plain.slice(0, -1)}`, type: 'directory' };
    const linked = first === undefined ? {} : { hardlink: `/${first}` };
    if (content === '') return { ...bare, path: `/${plain}`, type: 'file', ...linked };
    return { ...bare, path: `/${plain}`, type: 'file', size: 1, digest: content.repeat(64), ...linked };
  });
  return [{ ...bare, path: '/', type: 'directory' } as Entry, ...entries].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );
}

function names(entries: readonly Entry[]): string[] {
  return entries.slice(1).map(({ path, type, digest, hardlink }) => {
    const end = type === 'directory' ? '/' : digest === undefined ? '' : `=${digest[0]}`;
    return `${path.slice(1)}${end}${hardlink === undefined ? '' : `->${hardlink.slice(1)}`}`;
  });
}

function merge(layers: Entry[][], options?: MergeOptions): string[] {
  const merged = mergeTrees(layers, options);
  checkTree(merged);
  return names(merged);
}

test('later layers win, directories are united', () => {
  const base = tree('d/', 'd/a=1', 'd/b=1', 'x=1');
  assert.deepEqual(merge([base, tree('d/', 'd/b=2', 'd/c=2', 'a=2')]), [
    'a=2',
    'd/',
    'd/a=1',
    'd/b=2',
    'd/c=2',
    'x=1',
  ]);
  assert.deepEqual(merge([base]), names(base));
  assert.deepEqual(mergeTrees([]), []);
});

test('a file over a directory takes what was in it, and the reverse', () => {
  const base = tree('d/', 'd-e', 'd/a', 'd/s/', 'd/s/t');
  assert.deepEqual(merge([base, tree('d=2')]), ['d=2', 'd-e']);
  assert.deepEqual(merge([tree('d=2', 'd-e'), tree('d/', 'd/n')]), ['d/', 'd-e', 'd/n']);
  assert.deepEqual(merge([base, tree('d=2'), tree('d/', 'd/n')]), ['d/', 'd-e', 'd/n']);
});

test('identical layers may overlap, others may not', () => {
  const options = { conflicts: 'identical' } as const;
  assert.deepEqual(merge([tree('a=1', 'd/'), tree('a=1', 'd/', 'd/b')], options), ['a=1', 'd/', 'd/b']);
  for (const upper of [tree('a=2'), tree('a/')]) {
    assert.throws(
      () => mergeTrees([tree('a=1'), upper], options),
      (error) => isCellarError(error, 'E_MERGE_CONFLICT') && error.details['path'] === '/a',
    );
  }
});

test('hard links hold within a layer', () => {
  const base = tree('a=1', 'b=1->a', 'c=1->a');
  assert.deepEqual(merge([base, tree('a=2')]), ['a=2', 'b=1', 'c=1->b']);
  assert.deepEqual(merge([base, tree('a=2', 'd=2->a')]), ['a=2', 'b=1', 'c=1->b', 'd=2->a']);
  assert.deepEqual(merge([base, tree('b=1')], { conflicts: 'identical' }), names(base));
  assert.deepEqual(merge([tree('a=1', 'b=1'), base], { conflicts: 'identical' }), names(base));
  assert.deepEqual(merge([base, tree('.wh.a')], { whiteouts: 'oci' }), ['b=1', 'c=1->b']);
});

test('OCI whiteouts act on the layers below alone', () => {
  const oci = { whiteouts: 'oci' } as const;
  const base = tree('d/', 'd/a', 'd/b', 'd/s/', 'd/s/t', 'e');
  assert.deepEqual(merge([base, tree('.wh.d', 'e=2')], oci), ['e=2']);
  assert.deepEqual(merge([base, tree('d/', 'd/.wh.a', 'd/.wh.missing')], oci), [
    'd/',
    'd/b',
    'd/s/',
    'd/s/t',
    'e',
  ]);
  assert.deepEqual(merge([base, tree('d/', 'd/.wh..wh..opq', 'd/n')], oci), ['d/', 'd/n', 'e']);
  assert.deepEqual(merge([base, tree('.wh.d', 'd/', 'd/n')], oci), ['d/', 'd/n', 'e']);
  assert.deepEqual(merge([base, tree('d/', 'd/s/', 'd/.wh.s', 'd/s/u')], oci), [
    'd/',
    'd/a',
    'd/b',
    'd/s/',
    'd/s/u',
    'e',
  ]);
  assert.deepEqual(merge([base, tree('.wh..wh.plnk/', '.wh..wh.plnk/1', '.wh..wh.aufs')], oci), names(base));
  assert.deepEqual(merge([tree('.wh.x', 'y')], oci), ['y']);
  assert.deepEqual(merge([base, tree('.wh..wh..opq', 'n')], oci), ['n']);
  assert.deepEqual(merge([base, tree('.wh.d')]), ['.wh.d', ...names(base)]);
});

test('so do those of overlayfs, whose marks do not stay', () => {
  const overlay = { whiteouts: 'overlay' } as const;
  const base = tree('d/', 'd/a', 'd/b', 'e');
  const whiteout: Entry = { ...bare, path: '/d/a', type: 'char', mode: 0 };
  assert.deepEqual(merge([base, [...tree('d/'), whiteout]], overlay), ['d/', 'd/b', 'e']);
  const byXattr: Entry = { ...bare, path: '/e', type: 'file', xattrs: [['user.overlay.whiteout', '']] };
  assert.deepEqual(merge([base, [...tree(), byXattr]], overlay), ['d/', 'd/a', 'd/b']);
  const opaque = mark(tree('d/', 'd/n'), { name: 'trusted.overlay.opaque', value: 'y' });
  const merged = mergeTrees([base, opaque], overlay);
  assert.deepEqual(names(merged), ['d/', 'd/n', 'e']);
  assert.deepEqual(
    merged.flatMap(({ xattrs }) => xattrs),
    [],
  );
  assert.throws(
    () => mergeTrees([base, mark(tree('d/'), { name: 'trusted.overlay.redirect', value: 'x' })], overlay),
    (error) => isCellarError(error, 'E_TREE_INVALID'),
  );
});

test('paths are told as people read them, not byte by byte', () => {
  const name = fromText('é');
  const told = (work: () => unknown, code: ErrorCode): void =>
    assert.throws(work, (error) => isCellarError(error, code) && error.details['path'] === '/é');
  const identical = { conflicts: 'identical' } as const;
  told(() => mergeTrees([tree(`${name}=1`), tree(`${name}=2`)], identical), 'E_MERGE_CONFLICT');
  told(() => checkTree(tree(name, name)), 'E_TREE_INVALID');
  const redirected = mark(tree(name), { name: 'trusted.overlay.redirect', value: 'x', path: `/${name}` });
  told(() => mergeTrees([redirected], { whiteouts: 'overlay' }), 'E_TREE_INVALID');
});

interface Mark {
  readonly name: string;
  readonly value: string;
  readonly path?: string;
}

function mark(entries: Entry[], { name, value, path = '/d' }: Mark): Entry[] {
  return entries.map((entry) => (entry.path === path ? { ...entry, xattrs: [[name, value]] } : entry));
}
