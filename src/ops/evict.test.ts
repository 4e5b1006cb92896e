/** Which images go to make room: never what would stay in the store all the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { hostPlatform } from '../core/platform.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { planDeployment, type DeploymentRow } from '../store/deployments.ts';
import { planPin } from '../store/pins.ts';
import { leaseTree } from '../store/lease.ts';
import { openStore, type Store } from '../store/store.ts';
import { beginTransaction } from '../store/transaction.ts';
import { measureUsage } from '../store/usage.ts';
import { impliedDirectory } from '../tree/entry.ts';
import { candidates, chooseVictims } from './evict.ts';

const scratch = makeScratch('evict');
after(() => scratch[Symbol.dispose]());
const size = 100_000;
let number = 0;

function newStore(): Store {
  return openStore(`${scratch.path}/${number++}`, { create: true });
}

/** An image that was pulled: one file with content of its own. */
async function pulled(store: Store, ...names: string[]): Promise<{ image: string; content: string }> {
  await using transaction = await beginTransaction(store);
  const digest = transaction.adopt.bytes(Buffer.alloc(size, `${store.root} ${names.join()}`));
  return await transaction.commit({
    entries: [
      impliedDirectory('/'),
      { ...impliedDirectory('/file'), type: 'file', mode: 0o644, size, digest },
    ],
    ...{ platform: hostPlatform, labels: {}, action: 'pull' },
    provenance: { via: 'pull', source: 'https://images.example.org/', verified: 'no' },
    references: names.map((name) => `${name}:latest`),
  });
}

function names(store: Store): string[] {
  return candidates(store)
    .map(({ reference }) => reference)
    .toSorted();
}

test('what is deployed, leased, or pinned under another name is no candidate', async () => {
  using store = newStore();
  await pulled(store, 'free');
  const deployed = await pulled(store, 'deployed');
  const leased = await pulled(store, 'leased');
  await pulled(store, 'pinned', 'pinned-too');
  store.rows.update(() => ({ changes: planPin(store, 'pinned:latest', true), result: undefined }));
  const row = { target: 'file:/srv/x', version: 1, state: 'active', image: deployed.image };
  store.rows.write([planDeployment(row as DeploymentRow)]);
  {
    using _lease = await leaseTree(store, leased.content, new AbortController().signal);
    assert.deepEqual(names(store), ['free:latest']);
  }
  store.rows.write([planDeployment({ ...row, state: 'failed' } as DeploymentRow)]);
  assert.deepEqual(names(store), ['deployed:latest', 'free:latest', 'leased:latest']);
});

test('an image with two names counts once, when both are gone', async () => {
  using store = newStore();
  await pulled(store, 'a', 'b');
  await pulled(store, 'c');
  const usage = measureUsage(store);
  const victims = (bytes: number): string[] =>
    chooseVictims(store, { needed: bytes, limit: usage.storedBytes, usage, garbage: 0 }).map(
      ({ reference }) => reference,
    );
  assert.deepEqual(victims(size), ['a:latest', 'b:latest']);
  assert.deepEqual(victims(size * 2), ['a:latest', 'b:latest', 'c:latest']);
  assert.throws(
    () => victims(size * 2 + 1),
    (error) => isCellarError(error, 'E_STORE_FULL'),
  );
});
