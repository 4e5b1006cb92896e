/** What a collection must never take, however it meets with others; and that it leaves nothing behind. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { makeScratch, memory } from '../../test/support/scratch.ts';
import { commitImage, storeImage } from '../../test/support/stored-image.ts';
import { fromText } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { ignoreEvents } from '../core/events.ts';
import type { ImageRecord } from '../core/record.ts';
import { referToContent } from './commit-rows.ts';
import { damagedObjects, markDamaged } from './damaged.ts';
import { openDirectory } from '../sys/descriptor.ts';
import { tryFlock } from '../sys/flock.ts';
import { downloadsDirectory } from './downloads.ts';
import { checkStore } from './fsck/check.ts';
import { collectGarbage } from './gc.ts';
import { objectFile, treeFile } from './layout.ts';
import { leaseTree } from './lease.ts';
import { lockStore } from './lock.ts';
import type { RowKind } from './rows.ts';
import { heldTrees } from './staging.ts';
import { openStore, type Store } from './store.ts';
import { beginTransaction } from './transaction.ts';
import { readTree } from './trees.ts';

/** As of a moment later: what is of this very millisecond stays, whatever the grace. */
const all = { grace: -1000, keepHistory: 0 };
const hour = 3_600_000;
const cancelled = { code: 'E_CANCELLED' };

let scratch: ReturnType<typeof makeScratch>;
let store: Store;
beforeEach(() => {
  scratch = makeScratch('gc', memory);
  store = openStore(join(scratch.path, 'store'), { create: true });
});
afterEach(() => {
  mock.timers.reset();
  store[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

/** Long enough for whoever does not wait to be through. */
const soon = (): AbortSignal => AbortSignal.timeout(50);

async function assertWhole(): Promise<void> {
  const { damaged } = await checkStore(store, { events: ignoreEvents });
  // Small bytes come without the metadata of a tree.
  const lost = damaged.filter(({ kind }) => kind !== 'metadata');
  assert.deepEqual(lost, []);
}

test('what is committed while a collection waits for its turn stays', async () => {
  let collecting;
  {
    await using transaction = await beginTransaction(store);
    collecting = collectGarbage(store, all);
    const attachments = { metadata: transaction.adopt.bytes(Buffer.from('beside')) };
    await commitImage(transaction, 'app', 'new', { attachments });
  }
  const { trees, objects } = await collecting;
  assert.deepEqual([trees, objects], [0, 0]);
  await assertWhole();
});

test('it sweeps when nobody writes, and lets nobody begin before it had its turn', async () => {
  {
    using _writing = await lockStore(store.root, 'shared');
    await assert.rejects(collectGarbage(store, { ...all, signal: soon() }), cancelled);
    const over = new AbortController();
    const waiting = collectGarbage(store, { ...all, signal: over.signal });
    await assert.rejects(lockStore(store.root, 'shared', { signal: soon() }), cancelled);
    over.abort();
    await assert.rejects(waiting, cancelled);
  }
  await collectGarbage(store, { ...all, signal: soon() });
});

test('while it sweeps nobody looks what is there: neither writers, nor readers, nor fsck', async () => {
  const { content, record } = await storeImage(store, 'app', 'a');
  const again = { ...record, references: ['again:latest'], action: 'tag' } as const;
  const refer = (): Promise<unknown> =>
    referToContent(store, { kind: 'tree', digest: content }, again, { signal: soon() });
  {
    using _sweeping = await lockStore(store.root, 'exclusive');
    await assert.rejects(beginTransaction(store, { signal: soon() }), cancelled);
    await assert.rejects(leaseTree(store, content, soon()), cancelled);
    await assert.rejects(refer(), cancelled);
    await assert.rejects(checkStore(store, { events: ignoreEvents, signal: soon() }), cancelled);
  }
  using _lease = await leaseTree(store, content, soon());
  assert.deepEqual(heldTrees(store.root), [content]);
});

test('a tree that is gone is not leased', async () => {
  await assert.rejects(leaseTree(store, sha256('gone'), soon()), { code: 'E_TREE_MISSING' });
  assert.deepEqual(heldTrees(store.root), []);
});

test('an old image whose reference left it a moment ago keeps all its content, attachments too', async () => {
  {
    await using transaction = await beginTransaction(store);
    const attachments = { metadata: transaction.adopt.bytes(Buffer.from('beside')) };
    await commitImage(transaction, 'app', 'old', { attachments });
  }
  mock.timers.enable({ apis: ['Date'], now: Date.now() + 24 * hour });
  await storeImage(store, 'app', 'new');
  const { images, trees, objects, young } = await collectGarbage(store, { ...all, grace: hour });
  assert.deepEqual([images, trees, objects, young.images], [0, 0, 0, 1]);
  await assertWhole();
  mock.timers.tick(2 * hour);
  const later = await collectGarbage(store, { ...all, grace: hour });
  assert.deepEqual([later.images, later.trees, later.objects], [1, 1, 2]);
  await assertWhole();
});

test('what lies there without a name has its grace', async () => {
  const digest = sha256('nobody names it');
  const files = [objectFile(store.root, digest), treeFile(store.root, digest, 'dump.zst')];
  mkdirSync(dirname(files[0]!), { recursive: true });
  for (const file of files) writeFileSync(file, 'x');
  const dry = await collectGarbage(store, { ...all, dryRun: true });
  const spared = await collectGarbage(store, { ...all, grace: hour });
  assert.deepEqual([dry.trees, dry.objects, spared.trees, spared.objects], [1, 1, 0, 0]);
  assert.deepEqual(spared.young, { images: 0, objects: 1, bytes: statSync(files[0]!).blocks * 512 });
  assert.ok(files.every((file) => existsSync(file)));
  await collectGarbage(store, all);
  assert.ok(!files.some((file) => existsSync(file)));
});

test('a tree whose list of objects is damaged or gone keeps what its manifest names; without either nothing is swept', async () => {
  const { content } = await storeImage(store, 'app', 'kept');
  const object = objectFile(store.root, sha256('kept'));
  const list = treeFile(store.root, content, 'objects');
  for (const spoil of [() => writeFileSync(list, 'no list'), () => rmSync(list)]) {
    spoil();
    assert.equal((await collectGarbage(store, all)).objects, 0);
    assert.ok(existsSync(object));
  }
  writeFileSync(treeFile(store.root, content, 'dump.zst'), 'no manifest');
  await assert.rejects(collectGarbage(store, all), { code: 'E_TREE_DAMAGED' });
  assert.ok(existsSync(object));
});

test('a variant goes unless a link uses it, it is young, or links are being made; so do parts of old transfers', async () => {
  const home = join(store.root, 'variants/00', '0'.repeat(62));
  const parts = ['a.part', 'a.json'].map((name) => join(downloadsDirectory(store.root), name));
  mkdirSync(home, { recursive: true });
  const [used, unused] = ['used', 'unused'].map((name) => join(home, name)) as [string, string];
  for (const file of [used, unused, ...parts]) writeFileSync(file, 'x');
  linkSync(used, join(scratch.path, 'link'));
  const removable = [unused, ...parts];
  await collectGarbage(store, { ...all, grace: hour });
  assert.ok(removable.every((file) => existsSync(file)));
  {
    using linking = openDirectory(fromText(join(store.root, 'variants')));
    assert.ok(tryFlock(linking.fd, 'shared'));
    await collectGarbage(store, { ...all, dryRun: true });
    await collectGarbage(store, all);
    assert.deepEqual(
      removable.map((file) => existsSync(file)),
      [true, false, false],
    );
  }
  await collectGarbage(store, all);
  assert.deepEqual([existsSync(used), existsSync(unused)], [true, false]);
});

test('what a checkout shows, or is in service, stays without a reference; what failed to come into service goes', async () => {
  const put = (kind: RowKind, key: string, value: unknown): void => store.rows.write([{ kind, key, value }]);
  const [shown, served, derived, failed] = await Promise.all(
    ['shown', 'served', 'derived', 'failed'].map((name) => storeImage(store, name, name)),
  );
  put('checkout', 'c', { tree: shown!.content });
  put('deployment', 'a', { state: 'staged', image: served!.image, tree: derived!.content });
  put('deployment', 'b', { state: 'failed', image: failed!.image, tree: failed!.content });
  forget('');
  const { trees, objects } = await collectGarbage(store, all);
  assert.deepEqual([trees, objects], [1, 1]);
  for (const { content } of [shown!, served!, derived!]) assert.equal(readTree(store, content).length, 2);
  assert.ok(store.rows.get('image', served!.image));
  await assertWhole();
});

test('so many earlier versions stay as upstream or the store says, and all of what is pinned', async () => {
  for (const content of ['1', '2', '3', '4']) await storeImage(store, 'app', content);
  const left = async (keepHistory: number): Promise<number> => {
    await collectGarbage(store, { ...all, keepHistory });
    return store.rows.list('image').length;
  };
  store.rows.write([{ kind: 'pin', key: 'app:latest', value: { at: 1 } }]);
  assert.equal(await left(0), 4);
  store.rows.write([{ kind: 'pin', key: 'app:latest', value: undefined }]);
  assert.equal(await left(2), 3);
  const row = { source: 'x', seen: [], checked: 1, keep: 1 };
  store.rows.write([{ kind: 'upstream', key: 'app:latest', value: row }]);
  assert.equal(await left(5), 2);
});

test('no row is left of what is gone, nor a note of damage', async () => {
  const { image, content } = await storeImage(store, 'app', 'old');
  const object = readTree(store, content)[1]!.digest!;
  store.rows.write([
    { kind: 'source', key: 'file', value: { tree: content } },
    { kind: 'used', key: image, value: { at: 1 } },
    { kind: 'unpacked', key: sha256('manifest'), value: { tree: content } },
  ]);
  const next = await storeImage(store, 'app', 'new');
  // Of one of them nothing was left before.
  markDamaged(store, [{ object }, { object: sha256('lost') }]);
  await collectGarbage(store, { ...all, grace: hour });
  assert.deepEqual([...damagedObjects(store).keys()], [object], 'it is there, and could be taken for whole');
  await collectGarbage(store, all);
  assert.deepEqual(damagedObjects(store), new Map());
  for (const kind of ['source', 'used', 'unpacked'] as const) assert.deepEqual(store.rows.list(kind), []);
  for (const [kind, key] of [
    ['image', next.image],
    ['tree', next.content],
  ] as const)
    assert.deepEqual(
      store.rows.list(kind).map((row) => row.key),
      [key],
    );
  assert.deepEqual(
    store.rows.list<{ image: string }>('history').map(({ value }) => value.image),
    [next.image],
  );
});

test('a young OCI image keeps the tree that its layers came to, and what was removed lately is remembered', async () => {
  const { image, content } = await storeImage(store, 'app', 'unpacked');
  forget('');
  const [manifest, key] = [sha256('manifest'), sha256('record')];
  const record = { ...store.rows.get<ImageRecord>('image', image)!, kind: 'oci', content: manifest };
  const removal = { reference: 'app:latest', platform: record.platform, at: Date.now(), action: 'rm' };
  store.rows.write([
    { kind: 'image', key: image, value: undefined },
    { kind: 'image', key, value: record },
    { kind: 'blobs', key: manifest, value: { objects: [], files: 0, bytes: 0 } },
    { kind: 'unpacked', key: manifest, value: { tree: content } },
    { kind: 'history', key: 'app', value: removal },
  ]);
  const kinds = ['image', 'blobs', 'unpacked', 'tree', 'history'] as const;
  const left = (): number[] => kinds.map((kind) => store.rows.list(kind).length);
  await collectGarbage(store, { ...all, grace: hour });
  assert.deepEqual(left(), [1, 1, 1, 1, 1]);
  await collectGarbage(store, all);
  assert.deepEqual(left(), [0, 0, 0, 0, 0]);
});

test('what two trees share has the time of the one that stays', async () => {
  await storeImage(store, 'a', 'shared');
  const object = objectFile(store.root, sha256('shared'));
  utimesSync(object, 0, 0);
  {
    await using transaction = await beginTransaction(store);
    await commitImage(transaction, 'b', 'shared', {}, 2000);
  }
  forget('a:latest');
  await collectGarbage(store, all);
  assert.equal(statSync(object).mtimeMs, 2_000_000);
});

/** The reference and its history. */
function forget(reference: string): void {
  store.rows.write(
    (['reference', 'history'] as const).flatMap((kind) =>
      store.rows.list(kind, reference).map(({ key }) => ({ kind, key, value: undefined })),
    ),
  );
}
