import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { errnos, SysError, type ErrnoName } from '../sys/errno.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { faultAtRest } from './at-rest.ts';
import { inStore, objectFile, treeFile } from './layout.ts';
import { openObject, readObject } from './objects.ts';
import { openStore } from './store.ts';
import { readManifestText } from './trees.ts';
import { hashFiles } from './verify/hash-files.ts';

test('what the process or the machine lacks is no fault of the file', () => {
  const faultOf = (name: ErrnoName) => faultAtRest(new SysError(errnos[name], { syscall: 'open' }));
  for (const name of ['EMFILE', 'ENFILE', 'ENOMEM', 'EACCES', 'EDQUOT'] as const)
    assert.equal(faultOf(name), undefined, name);
  assert.equal(faultOf('ENOENT'), 'missing');
  assert.equal(faultOf('EIO'), 'unreadable');
  assert.equal(faultAtRest(new Error('no system call')), undefined);
});

test('a failure to open that says nothing of the file ends a check, and is not called damage', async () => {
  using scratch = makeScratch('at-rest');
  const problems: (string | undefined)[] = [];
  const hash = async (name: string): Promise<void> =>
    await hashFiles([join(scratch.path, name)], ({ problem }) => void problems.push(problem));
  await hash('absent');
  await assert.rejects(hash('x'.repeat(300)), { code: 'E_IO', message: /name too long/ });
  assert.deepEqual(problems, ['ENOENT']);
});

test('a file that is gone is missing, one that cannot be read is damaged', () => {
  using scratch = makeScratch('at-rest');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const name = 'a'.repeat(64);
  assert.throws(() => readObject(store, name), { code: 'E_OBJECT_MISSING' });
  assert.throws(() => openObject(inStore(store.root, 'objects'), name), { code: 'E_OBJECT_MISSING' });
  assert.throws(() => readManifestText(store, name), { code: 'E_TREE_MISSING' });
  // read(2) of a directory is refused, even to root.
  for (const file of [objectFile(store.root, name), treeFile(store.root, name, 'dump.zst')]) {
    mkdirSync(dirname(file), { recursive: true });
    mkdirSync(file);
  }
  assert.throws(() => readObject(store, name), { code: 'E_OBJECT_DAMAGED' });
  assert.throws(() => readManifestText(store, name), { code: 'E_TREE_DAMAGED' });
});
