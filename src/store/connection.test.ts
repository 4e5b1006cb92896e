import assert from 'node:assert/strict';
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { inStore } from './layout.ts';
import { openStore } from './store.ts';

test('handles on one store share a connection, which ends with the last of them', () => {
  using scratch = makeScratch('connection');
  const path = join(scratch.path, 'store');
  const first = openStore(path, { create: true });
  const open = openDatabaseFiles(path);
  assert.ok(open > 0);
  const second = openStore(path);
  assert.equal(openDatabaseFiles(path), open);
  first[Symbol.dispose]();
  second.rows.write([{ kind: 'used', key: 'a'.repeat(64), value: { at: 1 } }]);
  second[Symbol.dispose]();
  assert.equal(openDatabaseFiles(path), 0);
});

test('a store that cannot be opened leaves no connection behind', () => {
  using scratch = makeScratch('connection');
  const path = join(scratch.path, 'store');
  openStore(path, { create: true })[Symbol.dispose]();
  rmSync(inStore(path, 'tmp'), { recursive: true });
  writeFileSync(inStore(path, 'tmp'), '');
  assert.throws(() => openStore(path), { code: 'ENOTDIR' });
  assert.equal(openDatabaseFiles(path), 0);
  writeFileSync(inStore(path, 'cellar.db'), 'no database'.repeat(100));
  assert.throws(() => openStore(path), { code: 'E_DATABASE_DAMAGED' });
  assert.equal(openDatabaseFiles(path), 0);
});

/** How many descriptors this process has on the database and its companions. */
function openDatabaseFiles(store: string): number {
  const database = inStore(store, 'cellar.db');
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith(database);
    } catch {
      return false; // the listing's own
    }
  }).length;
}
