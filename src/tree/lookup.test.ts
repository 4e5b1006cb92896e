import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noXattrs, type Entry } from './entry.ts';
import { entriesBelow, findEntry, followPath, normalPath, pathInTree } from './lookup.ts';

function entry(path: string, target?: string): Entry {
  const type = target === undefined ? (path.includes('.') ? 'file' : 'directory') : 'symlink';
  const meta = { mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };
  return { path, type, ...meta, ...(target === undefined ? {} : { target }) };
}

const tree = [
  entry('/'),
  entry('/bin', 'usr/bin'),
  entry('/etc'),
  entry('/etc/escape', '../../../../usr/bin/sh.real'),
  entry('/etc/loop', '/etc/loop'),
  entry('/etc/nowhere', '/no/such'),
  entry('/usr'),
  entry('/usr/bin'),
  entry('/usr/bin-old'),
  entry('/usr/bin/sh', 'sh.real'),
  entry('/usr/bin/sh.real'),
].sort((a, b) => (a.path < b.path ? -1 : 1));

test('finds exactly what is there', () => {
  for (const { path } of tree) assert.equal(findEntry(tree, path)?.path, path);
  assert.equal(findEntry(tree, '/usr/b'), undefined);
  assert.equal(findEntry(tree, '/zzz'), undefined);
});

test('follows symlinks on the way and at the end, and never out of the tree', () => {
  assert.equal(followPath(tree, '/bin/sh')?.path, '/usr/bin/sh.real');
  assert.equal(followPath(tree, '/etc/escape')?.path, '/usr/bin/sh.real');
  assert.equal(followPath(tree, '../..')?.path, '/');
  assert.equal(followPath(tree, '/etc/../bin')?.path, '/usr/bin');
});

test('a symlink to itself or to nothing ends the search', () => {
  assert.equal(followPath(tree, '/etc/loop'), undefined);
  assert.equal(followPath(tree, '/etc/nowhere'), undefined);
});

test('what lies below a directory is told by components, not by letters', () => {
  assert.deepEqual(
    [...entriesBelow(tree, '/usr/bin')].map(({ path }) => path),
    ['/usr/bin', '/usr/bin/sh', '/usr/bin/sh.real'],
  );
  assert.equal([...entriesBelow(tree, '/')].length, tree.length);
});

test('typed paths are made absolute', () => {
  assert.equal(normalPath('etc//passwd/'), '/etc/passwd');
  assert.equal(normalPath('./a/../../b'), '/b');
  assert.equal(normalPath(''), '/');
});

test('a path that settings give lies in the tree, below its root', () => {
  assert.equal(pathInTree('./dev//null'), '/dev/null');
  assert.equal(pathInTree('/dev/../etc'), undefined);
  assert.equal(pathInTree('/'), undefined);
  assert.equal(pathInTree('etc/a\0b'), undefined);
});
