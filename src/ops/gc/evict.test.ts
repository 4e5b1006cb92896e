/** Which images go to make room: never what would stay in the store all the same. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { hostPlatform } from '../../core/platform.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { planDeployment, type DeploymentRow } from '../../store/deployments.ts';
import { planPin } from '../../store/pins.ts';
import { leaseTree } from '../../store/lease.ts';
import { openStore, type Store } from '../../store/store.ts';
import { beginTransaction } from '../../store/transaction.ts';
import { storedBytes } from '../../store/usage.ts';
import { impliedDirectory, type Entry } from '../../tree/entry.ts';
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
  return await pulledWith(store, names, [Buffer.alloc(size, `${number++} ${names.join()}`)]);
}

async function pulledWith(
  store: Store,
  names: readonly string[],
  contents: readonly Buffer[],
): Promise<{ image: string; content: string }> {
  await using transaction = await beginTransaction(store);
  const files = contents.map((content, index): Entry => {
    const digest = transaction.adopt.bytes(content);
    return { ...impliedDirectory(`/file${index}`), type: 'file', mode: 0o644, size, digest };
  });
  const written = await transaction.commit({
    entries: [impliedDirectory('/'), ...files],
    ...{ platform: hostPlatform, labels: {}, action: 'pull' },
    provenance: { via: 'pull', source: 'https://images.example.org/', verified: 'no' },
    references: names.map((name) => `${name}:latest`),
  });
  const at = Date.now() + number++ * 1000;
  store.rows.write([{ kind: 'used', key: written.image, value: { at } }]);
  return written;
}

function names(store: Store): string[] {
  return candidates(store)
    .flatMap(({ names: own }) => own.map(({ reference }) => reference))
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
  assert.deepEqual(victims(store, size), ['a:latest', 'b:latest']);
  assert.deepEqual(victims(store, size * 2), ['a:latest', 'b:latest', 'c:latest']);
  assert.throws(
    () => victims(store, size * 3),
    (error) => isCellarError(error, 'E_STORE_FULL'),
  );
  assert.equal(chooseVictims(store, { needed: 0, limit: storedBytes(store) }), undefined);
});

test('earlier versions go before anything that is named now, and a name that gets a new value stays', async () => {
  using store = newStore();
  await pulled(store, 'other');
  const first = await pulled(store, 'x');
  await pulled(store, 'x', 'also');
  await pulled(store, 'x');
  const [victim] = chooseVictims(store, { needed: 1, limit: storedBytes(store) })!;
  assert.deepEqual([victim!.reference, victim!.image, victim!.isEarlier], ['x:latest', first.image, true]);
  // The second version of x is what `also` names, so it is no earlier version only.
  assert.deepEqual(victims(store, size * 2), ['x:latest', 'other:latest']);
  assert.deepEqual(victims(store, size * 3), ['x:latest', 'other:latest', 'also:latest', 'x:latest']);
  const except = ['x:latest'];
  assert.deepEqual(victims(store, size * 3, { except }), [
    'x:latest',
    'other:latest',
    'also:latest',
    'x:latest',
  ]);
  assert.throws(
    () => victims(store, size * 4, { except }),
    (error) => isCellarError(error, 'E_STORE_FULL'),
  );
  assert.deepEqual(victims(store, size, { keep: 0 }), [], 'an earlier version that nobody keeps is garbage');
});

test('what two images share goes with the second, and not while a third needs it', async () => {
  using store = newStore();
  const shared = Buffer.alloc(size, 'shared');
  for (const name of ['a', 'b', 'c']) await pulledWith(store, [name], [shared, Buffer.alloc(size, name)]);
  assert.deepEqual(victims(store, size * 2), ['a:latest', 'b:latest']);
  assert.deepEqual(victims(store, size * 4), ['a:latest', 'b:latest', 'c:latest']);
  const arriving = [sha256(shared)];
  assert.throws(
    () => victims(store, size * 4, {}, arriving),
    (error) => isCellarError(error, 'E_STORE_FULL'),
  );
});

/** References that go when the store is full and `needed` more bytes come. */
function victims(
  store: Store,
  needed: number,
  bound: object = {},
  arriving: readonly string[] = [],
): string[] {
  const found = chooseVictims(store, { needed, limit: storedBytes(store), ...bound }, arriving);
  return (found ?? []).map(({ reference }) => reference);
}
