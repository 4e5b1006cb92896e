import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { randomBytes } from 'node:crypto';
import { makeScratch } from '../../test/support/scratch.ts';
import { openStore } from './store.ts';
import { measureUsage, storedBytes } from './usage.ts';

test('all of the store counts, its reserve and what lies outside its bound apart', () => {
  using scratch = makeScratch('usage');
  const root = join(scratch.path, 'store');
  openStore(root, { create: true })[Symbol.dispose]();
  using store = openStore(root);
  const size = 1 << 20;
  const before = measureUsage(store);
  const grownBy = (name: string): number => {
    const start = storedBytes(store);
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), randomBytes(size));
    return storedBytes(store) - start;
  };
  const counted = [
    'objects/ab/c',
    'variants/ab/c/d',
    'trees/x.dump.zst',
    'mnt/linked/x',
    'tmp/x',
    'downloads/x',
  ];
  for (const name of [...counted, 'keys/secret/x', 'logs/x', 'cellar.db.sum', 'cellar.db.damaged'])
    assert.ok(grownBy(name) >= size, name);
  rmSync(join(root, 'reserve'), { force: true });
  for (const name of ['reserve', 'checkouts/x/upper/y']) assert.equal(grownBy(name), 0, name);
  const { parts, checkouts, storedBytes: all } = measureUsage(store);
  assert.ok(parts.others >= 2 * size && parts.database >= before.parts.database + size);
  assert.ok(checkouts >= size);
  assert.equal(
    Object.values(parts).reduce((sum, bytes) => sum + bytes, 0),
    all,
  );
});
