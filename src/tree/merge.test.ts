import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { findProblem } from './canonical.ts';
import { noXattrs, type Entry } from './entry.ts';
import { createLayering, mergeTrees, plainLayer, type LayeringOptions } from './merge.ts';

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

function merge(layers: Entry[][], options?: LayeringOptions): string[] {
  const layering = createLayering(options);
  for (const entries of layers) layering.add(plainLayer(entries));
  const merged = layering.finish();
  assert.equal(findProblem(merged), undefined);
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

test('hard links hold within a layer', () => {
  const base = tree('a=1', 'b=1->a', 'c=1->a');
  assert.deepEqual(merge([base, tree('a=2')]), ['a=2', 'b=1', 'c=1->b']);
  assert.deepEqual(merge([base, tree('a=2', 'd=2->a')]), ['a=2', 'b=1', 'c=1->b', 'd=2->a']);
  assert.deepEqual(merge([base, tree('.wh.a')], { whiteouts: true }), ['b=1', 'c=1->b']);
});

test('OCI whiteouts act on the layers below alone', () => {
  const oci = { whiteouts: true };
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
  for (const name of ['.wh.', '.wh..', '.wh...', 'd/.wh.'])
    assert.throws(
      () => merge([base, tree('d/', name)], oci),
      (error) => isCellarError(error, 'E_TREE_INVALID') && error.details['path'] === `/${name}`,
    );
});

test('a layer that says nothing of the root but that all in it is hidden leaves the root as it is', () => {
  const base = tree('a').map((entry) => ({ ...entry, mtime: 7 }));
  const layering = createLayering({ whiteouts: true });
  layering.add(plainLayer(base));
  layering.add({ ...plainLayer(tree('.wh..wh..opq')), implied: new Set(['/']) });
  assert.deepEqual(layering.finish(), [base[0]]);
});
