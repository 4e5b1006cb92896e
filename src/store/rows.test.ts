/** A write that fails in the middle leaves neither rows nor lines of the journal, and the next one goes through. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch, memory } from '../../test/support/scratch.ts';
import { storeImage } from '../../test/support/stored-image.ts';
import { hostPlatform } from '../core/platform.ts';
import { collectGarbage } from './gc.ts';
import { inStore } from './layout.ts';
import { listReferences } from './references.ts';
import { resolveImage } from './resolve.ts';
import type { RowChange } from './rows.ts';
import { openStore } from './store.ts';

const row = (key: string): RowChange => ({ kind: 'used', key, value: { at: 1 } });

test('all or nothing, in the journal too', () => {
  using scratch = makeScratch('rows', memory);
  using store = openStore(`${scratch.path}/store`, { create: true });
  const { rows } = store;
  rows.write([row('a')]);
  const journal = (): string => readFileSync(inStore(store.root, 'journal'), 'utf8');
  const before = journal();
  const broken = new Error('no plan');
  assert.throws(
    () =>
      rows.update(() => {
        throw broken;
      }),
    (error) => error === broken,
  );
  // What the database does not take, after the journal did.
  assert.throws(() => rows.write([row('b'), { ...row('c'), kind: null as never }]));
  assert.deepEqual(rows.list('used'), [{ key: 'a', value: { at: 1 } }]);
  assert.equal(journal(), before);
  rows.write([row('b')]);
  assert.deepEqual(
    rows.list('used').map(({ key }) => key),
    ['a', 'b'],
  );
  assert.deepEqual(rows.check(), []);
});

test('what a flipped bit hides is not taken for absent, nor for garbage', async () => {
  using scratch = makeScratch('hidden', memory);
  const root = join(scratch.path, 'store');
  {
    using store = openStore(root, { create: true });
    await storeImage(store, 'app', 'content');
  }
  const file = join(root, 'cellar.db');
  const whole = readFileSync(file);
  const kind = Buffer.from('referenceapp:latest');
  assert.ok(whole.includes(kind));
  const damaged = Buffer.from(whole);
  for (let at = damaged.indexOf(kind); at >= 0; at = damaged.indexOf(kind, at + 1))
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at);
  writeFileSync(file, damaged);
  {
    using store = openStore(root);
    assert.equal(listReferences(store).length, 0);
    assert.throws(() => resolveImage(store, 'app'), { code: 'E_DATABASE_DAMAGED' });
    await assert.rejects(collectGarbage(store, { grace: -1000, keepHistory: 0 }), {
      code: 'E_DATABASE_DAMAGED',
    });
  }
  writeFileSync(file, whole);
  using store = openStore(root);
  assert.throws(() => resolveImage(store, 'other'), { code: 'E_NOT_FOUND' });
  assert.equal(resolveImage(store, 'app').platform, hostPlatform);
});
