/** What fsck finds beside changed bytes: names that lead nowhere, what is missing, and what is whole again. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, test } from 'node:test';
import { makeScratch, memory } from '../../../test/support/scratch.ts';
import { storeImage } from '../../../test/support/stored-image.ts';
import { sha256 } from '../../core/digest.ts';
import { ignoreEvents, type CellarEvent } from '../../core/events.ts';
import type { ImageRecord } from '../../core/record.ts';
import { damagedObjects, markDamaged } from '../damaged.ts';
import { inStore, objectFile, treeFile } from '../layout.ts';
import { openStore, type Store } from '../store.ts';
import type { CommitResult } from '../transaction.ts';
import { packObjects, type TreeRow } from '../trees.ts';
import { checkStore } from './check.ts';
import { adoptMetadata } from './inodes.ts';
import { mendInPlace } from './mend.ts';
import type { Damage } from './report.ts';

let scratch: ReturnType<typeof makeScratch>;
let store: Store;
let stored: CommitResult;
const object = sha256('content');
beforeEach(async () => {
  scratch = makeScratch('fsck', memory);
  store = openStore(`${scratch.path}/store`, { create: true });
  stored = await storeImage(store, 'app', 'content');
  // Small bytes come without the metadata of a tree.
  adoptMetadata(store, new Set([object]));
});
afterEach(() => {
  store[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

let damaged: readonly Damage[];

/** Kind, what is damaged, and the images it affects. */
async function found(): Promise<string[]> {
  ({ damaged } = await checkStore(store, { events: ignoreEvents }));
  return damaged.map(({ kind, id, images }) => `${kind} ${id} ${images.join()}`.trim());
}

test('progress ends with all of it', async () => {
  const events: CellarEvent[] = [];
  await checkStore(store, { events: (event) => events.push(event) });
  const total = events.find((event) => event.type === 'step')?.total;
  const done = events.findLast((event) => event.type === 'progress')?.done;
  assert.equal(done, total);
});

test('an object that is missing is refused until it is back', async () => {
  const file = objectFile(store.root, object);
  renameSync(file, `${scratch.path}/away`);
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await found(), [`object ${object} app:latest`]);
    assert.deepEqual([...damagedObjects(store).keys()], [object]);
  }
  markDamaged(store, [{ object: sha256('nobody names it') }]);
  renameSync(`${scratch.path}/away`, file);
  assert.deepEqual(await found(), []);
  assert.equal(damagedObjects(store).size, 0);
});

test('an attachment that is missing is damage of its image', async () => {
  const { image, record } = stored;
  const gone = sha256('gone');
  const value: ImageRecord = { ...record, attachments: { metadata: gone } };
  store.rows.write([{ kind: 'image', key: image, value }]);
  assert.deepEqual(await found(), [`record ${image} ${image}`, `object ${gone} app:latest`]);
});

test('a reference without its image, and a record without its tree', async () => {
  store.rows.write([{ kind: 'image', key: stored.image, value: undefined }]);
  assert.deepEqual(await found(), ['reference app:latest app:latest']);
  store.rows.write([
    { kind: 'image', key: stored.image, value: stored.record },
    { kind: 'tree', key: stored.content, value: undefined },
  ]);
  assert.deepEqual(await found(), [`record ${stored.image} ${stored.image}`]);
});

test('a list of objects that is not that of the manifest, though it is the one on record', async () => {
  const { content } = stored;
  const packed = packObjects([sha256('another')]);
  writeFileSync(treeFile(store.root, content, 'objects'), packed);
  const value = { ...store.rows.get<TreeRow>('tree', content)!, objects: sha256(packed) };
  store.rows.write([{ kind: 'tree', key: content, value }]);
  const lists = [`object-list ${content} app:latest`];
  assert.deepEqual(await found(), lists);
  mendInPlace(store, damaged);
  assert.deepEqual(await found(), []);
});

test('a manifest that is gone', async () => {
  rmSync(treeFile(store.root, stored.content, 'dump.zst'));
  assert.deepEqual(await found(), [`manifest ${stored.content} app:latest`]);
});

test('an inode with another time is mended', async () => {
  utimesSync(objectFile(store.root, object), 5, 5);
  assert.deepEqual(await found(), [`metadata ${object} app:latest`]);
  mendInPlace(store, damaged);
  assert.deepEqual(await found(), []);
});

test('a line of the journal that is not what it was; the last one may be torn', async () => {
  const journal = inStore(store.root, 'journal');
  appendFileSync(journal, 'torn');
  assert.deepEqual(await found(), []);
  writeFileSync(journal, readFileSync(journal, 'utf8').replace('app:latest', 'APP:latest'));
  assert.deepEqual(await found(), ['journal journal']);
  mendInPlace(store, damaged);
  assert.deepEqual(await found(), []);
});
