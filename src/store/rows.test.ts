/** A write that fails in the middle leaves neither rows nor lines of the journal, and the next one goes through. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { makeScratch, memory } from '../../test/support/scratch.ts';
import { inStore } from './layout.ts';
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
