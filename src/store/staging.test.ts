import assert from 'node:assert/strict';
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { inStore } from './layout.ts';
import { heldTrees, holdTrees, sweepStaging } from './staging.ts';
import { openStore } from './store.ts';

test('a lease that cannot be read may hold anything: it is an error, and nothing of it is swept', () => {
  using scratch = makeScratch('staging');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const left = join(inStore(store.root, 'tmp'), 'left');
  mkdirSync(left);
  // It can be opened and locked; read(2) at its beginning gives EIO.
  symlinkSync('/proc/self/mem', `${left}.lock`);
  assert.throws(() => heldTrees(store.root), { code: 'EIO' });
  assert.equal(sweepStaging(store.root, assert.fail), 0);
  assert.ok(existsSync(left));
  assert.ok(lstatSync(`${left}.lock`).isSymbolicLink());
  rmSync(`${left}.lock`);
  assert.deepEqual(heldTrees(store.root), []);
  assert.equal(sweepStaging(store.root, assert.fail), 1);
  assert.ok(!existsSync(left));
});

test('trees are held until the lease ends, and what lives is not swept', () => {
  using scratch = makeScratch('staging');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const tree = 'a'.repeat(64);
  const held = holdTrees(store.root, [tree]);
  assert.equal(sweepStaging(store.root, assert.fail), 0);
  assert.deepEqual(heldTrees(store.root), [tree]);
  held[Symbol.dispose]();
  assert.deepEqual(heldTrees(store.root), []);
});

test('what a dead process noted is undone, the newest first, but for a line it did not finish; later if that fails', () => {
  using scratch = makeScratch('staging');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const left = join(inStore(store.root, 'tmp'), 'left');
  mkdirSync(left);
  writeFileSync(`${left}.lock`, 'undo a\ntree x\nundo b\nundo c');
  const fail = (): never => {
    throw new Error('in use');
  };
  assert.equal(sweepStaging(store.root, fail), 0);
  assert.ok(existsSync(left) && existsSync(`${left}.lock`));
  const undone: string[] = [];
  assert.equal(
    sweepStaging(store.root, (line) => undone.push(line)),
    1,
  );
  assert.deepEqual(undone, ['b', 'a']);
  assert.ok(!existsSync(left) && !existsSync(`${left}.lock`));
});
