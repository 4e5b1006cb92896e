import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { memory } from '../../test/support/scratch.ts';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { hostPlatform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { impliedDirectory, type Entry } from '../tree/entry.ts';
import { checkStore } from './fsck/check.ts';
import { mendInPlace } from './fsck/mend.ts';
import { rebuildDatabase } from './fsck/rebuild.ts';
import { collectGarbage, garbageBytes } from './gc.ts';
import { objectFile, treeFile } from './layout.ts';
import { readObject } from './objects.ts';
import { planRemoval, platformsOf, referenceHistory } from './references.ts';
import { resolveImage } from './resolve.ts';
import { holdTrees } from './staging.ts';
import { openStore, type Store } from './store.ts';
import { beginTransaction, type CommitResult } from './transaction.ts';
import { ensureErofs, readTree } from './trees.ts';
import { measureUsage } from './usage.ts';

const scratch = mkdtempSync(join(memory, 'cellar-store-'));
const sources = mkdtempSync(join(scratch, 'source-'));
let number = 0;

function newRoot(): string {
  return join(scratch, `store-${number++}`);
}

before(() => mkdirSync(sources, { recursive: true }));
after(() => rmSync(scratch, { recursive: true, force: true }));

/** Commit files given as name → content. */
async function commit(
  store: Store,
  reference: string,
  files: Record<string, string>,
  platform = hostPlatform,
): Promise<CommitResult> {
  await using transaction = await beginTransaction(store);
  const root: Entry = { ...impliedDirectory('/'), mtime: 1 };
  const pending = await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const file = join(sources, name);
      writeFileSync(file, text);
      const { ino, mtimeNs } = statSync(file, { bigint: true });
      const mtime = Number(mtimeNs / 1_000_000_000n);
      const mtimeNsec = Number(mtimeNs % 1_000_000_000n);
      const entry: Entry = { ...root, path: `/${name}`, type: 'file', mode: 0o644, size: text.length };
      const content = await transaction.ingest.path(file, entry, text.length, {
        ino: ino.toString(),
        mtime,
        mtimeNsec,
      });
      return { entry, content };
    }),
  );
  await transaction.ingest.drain();
  const entries = pending.map(({ entry, content }): Entry => ({ ...entry, digest: content.digest! }));
  return await transaction.commit({
    entries: [root, ...entries.sort((a, b) => (a.path < b.path ? -1 : 1))],
    platform,
    labels: {},
    provenance: { via: 'import', source: 'test', verified: 'no' },
    references: [`${reference}:latest`],
    action: 'import',
  });
}

/** As of a moment later: what is of this very millisecond stays, whatever the grace. */
const gcAll = { grace: -1000, keepHistory: 0 };

describe('store', () => {
  test('a commit is read back and found by reference and digest', async () => {
    using store = openStore(newRoot(), { create: true });
    const { content: tree, image, newObjects } = await commit(store, 'app', { a: 'alpha', b: 'beta' });
    assert.equal(newObjects, 2);
    assert.deepEqual(
      readTree(store, tree).map(({ path }) => path),
      ['/', '/a', '/b'],
    );
    const digest = readTree(store, tree)[1]!.digest!;
    assert.equal(readObject(store, digest).toString(), 'alpha');
    assert.equal(resolveImage(store, 'app').digest, image);
    assert.equal(resolveImage(store, image.slice(0, 12)).digest, image);
    assert.equal(resolveImage(store, `sha256:${tree}`).record.content, tree);
    assert.throws(
      () => resolveImage(store, 'nothing'),
      (error) => isCellarError(error, 'E_NOT_FOUND'),
    );
  });

  test('a name that could begin a digest is a reference like any other', async () => {
    using store = openStore(newRoot(), { create: true });
    const here = await commit(store, '20260801', { a: 'here' });
    const other = await commit(store, '20260801', { a: 'other' }, 'linux/0');
    assert.equal(resolveImage(store, '20260801').digest, here.image);
    assert.equal(resolveImage(store, '20260801', { platform: 'linux/0' }).digest, other.image);
    assert.throws(
      () => resolveImage(store, '20260801', { platform: 'linux/1' }),
      (error) => isCellarError(error, 'E_NOT_FOUND'),
    );
  });

  test('history keeps earlier values, and the same tree again changes nothing', async () => {
    using store = openStore(newRoot(), { create: true });
    const one = await commit(store, 'app', { a: '1' });
    const two = await commit(store, 'app', { a: '2' });
    const again = await commit(store, 'app', { a: '2' });
    assert.equal(again.image, two.image);
    assert.equal(again.newObjects, 0);
    assert.equal(referenceHistory(store, 'app:latest').length, 2);
    assert.equal(resolveImage(store, 'app@{1}').digest, one.image);
  });

  test('nothing lingers in tmp, and an abandoned staging directory is swept by the next opening', async () => {
    const root = newRoot();
    using store = openStore(root, { create: true });
    await commit(store, 'app', { a: '1' });
    assert.deepEqual(readdirSync(join(root, 'tmp')), []);
    mkdirSync(join(root, 'tmp/0123456789abcdef'));
    writeFileSync(join(root, 'tmp/fedcba9876543210.lock'), '');
    mkdirSync(join(root, 'tmp/fedcba9876543210'));
    openStore(root)[Symbol.dispose]();
    assert.deepEqual(readdirSync(join(root, 'tmp')), []);
  });

  test('a directory that was there is closed to others when it becomes a store', () => {
    const root = newRoot();
    mkdirSync(root, { mode: 0o755 });
    openStore(root, { create: true })[Symbol.dispose]();
    assert.equal(statSync(root).mode & 0o777, 0o700);
  });

  test('gc takes what killed processes were writing beside files of the store', async () => {
    using store = openStore(newRoot(), { create: true });
    const left = ['.journal.0123456789ab', '.cellar.db.sum.0123456789ab', 'downloads/0123.json~'];
    for (const name of left) writeFileSync(join(store.root, name), 'x');
    await collectGarbage(store, { ...gcAll, grace: 3_600_000 });
    assert.ok(left.every((name) => existsSync(join(store.root, name))));
    await collectGarbage(store, gcAll);
    assert.ok(!left.some((name) => existsSync(join(store.root, name))));
  });

  test('gc removes what nothing refers to, and keeps leases, history and the young', async () => {
    using store = openStore(newRoot(), { create: true });
    const one = await commit(store, 'app', { a: 'old', b: 'both' });
    await commit(store, 'app', { a: 'new', b: 'both' });
    const young = await collectGarbage(store, { ...gcAll, grace: 3_600_000 });
    assert.deepEqual([young.objects, young.images], [0, 0]);
    const kept = await collectGarbage(store, { ...gcAll, keepHistory: 1 });
    assert.equal(kept.objects, 0);
    {
      using _lease = holdTrees(store.root, [one.content]);
      const held = await collectGarbage(store, gcAll);
      assert.deepEqual([held.images, held.objects], [0, 0]);
    }
    const dry = await collectGarbage(store, { ...gcAll, dryRun: true });
    const real = await collectGarbage(store, gcAll);
    assert.equal(dry.objects, 1);
    assert.equal(real.objects, 1);
    assert.equal((await checkStore(store, { events: ignoreEvents })).damaged.length, 0);
  });

  test('what is counted may vanish meanwhile', async () => {
    using store = openStore(newRoot(), { create: true });
    await commit(store, 'app', { a: '1' });
    // As a collection of another process takes away what this one counts without a lock.
    const flicker = `const fs = require('node:fs');
      const { file } = require('node:worker_threads').workerData;
      for (;;) for (let at = 0; at < 64; at++) fs.writeFileSync(file + at, ''), fs.rmSync(file + (at ^ 32), { force: true });`;
    const shard = join(store.root, 'objects/00');
    mkdirSync(shard, { recursive: true });
    const worker = new Worker(flicker, { eval: true, workerData: { file: join(shard, 'f'.repeat(61)) } });
    try {
      await once(worker, 'online');
      const roots = { images: new Set<string>(), trees: new Set<string>() };
      for (let round = 0; round < 300; round++) {
        measureUsage(store);
        garbageBytes(store, roots);
      }
    } finally {
      await worker.terminate();
    }
  });

  test('an image keeps its grace when its reference has left it, and loses it with time', async () => {
    using store = openStore(newRoot(), { create: true });
    const one = await commit(store, 'app', { a: '1' });
    await commit(store, 'app', { a: '2' });
    // Stored long ago, and left a moment ago.
    const record = { ...store.rows.get<ImageRecord>('image', one.image)!, created: 1 };
    store.rows.write([{ kind: 'image', key: one.image, value: record }]);
    assert.equal((await collectGarbage(store, { ...gcAll, grace: 3_600_000 })).images, 0);
    assert.equal((await collectGarbage(store, gcAll)).images, 1);
  });

  test('a removed reference keeps its history until gc', async () => {
    using store = openStore(newRoot(), { create: true });
    await commit(store, 'app', { a: '1' });
    const [row] = platformsOf(store, 'app:latest');
    store.rows.update(() => ({ changes: planRemoval(store.rows, row!, Date.now()), result: undefined }));
    assert.throws(
      () => resolveImage(store, 'app'),
      (error) => isCellarError(error, 'E_NOT_FOUND'),
    );
    assert.equal((await collectGarbage(store, gcAll)).images, 1);
    assert.deepEqual(readdirSync(join(store.root, 'trees')), []);
  });
});

describe('fsck', () => {
  const flip = (file: string, at: number): void => {
    const bytes = readFileSync(file);
    bytes[at]! ^= 1;
    execFileSync('chmod', ['u+w', file]);
    const { mtime } = statSync(file);
    writeFileSync(file, bytes);
    execFileSync('touch', ['-d', mtime.toISOString(), file]);
  };

  test('a flipped bit in an object is found, named with its images and refused from then on', async () => {
    using store = openStore(newRoot(), { create: true });
    const { content: tree } = await commit(store, 'app', { a: 'alpha' });
    const digest = readTree(store, tree)[1]!.digest!;
    flip(objectFile(store.root, digest), 2);
    const { damaged } = await checkStore(store, { events: ignoreEvents });
    const [object] = damaged.filter(({ kind }) => kind === 'object');
    assert.equal(object?.id, digest);
    assert.deepEqual(object?.images, ['app:latest']);
    assert.throws(
      () => readObject(store, digest),
      (error) => isCellarError(error, 'E_OBJECT_DAMAGED'),
    );
    const again = await commit(store, 'copy', { a: 'alpha' });
    assert.equal(again.content, tree);
    assert.equal(readObject(store, digest).toString(), 'alpha');
    assert.equal((await checkStore(store, { events: ignoreEvents })).damaged.length, 0);
  });

  test('manifest, object list and EROFS image: each flipped bit is found, what is derived is derived again', async () => {
    using store = openStore(newRoot(), { create: true });
    const { content: tree } = await commit(store, 'app', { a: 'alpha', b: 'beta' });
    await ensureErofs(store, tree);
    for (const part of ['objects', 'erofs'] as const) {
      flip(treeFile(store.root, tree, part), 20);
      const { damaged } = await checkStore(store, { events: ignoreEvents });
      assert.deepEqual(
        damaged.map(({ kind, images }) => [kind, images]),
        [[part === 'erofs' ? 'erofs' : 'object-list', ['app:latest']]],
      );
      mendInPlace(store, damaged);
      assert.deepEqual((await checkStore(store, { events: ignoreEvents })).damaged, []);
    }
    flip(treeFile(store.root, tree, 'dump.zst'), 30);
    const { damaged } = await checkStore(store, { events: ignoreEvents });
    assert.equal(damaged[0]?.kind, 'manifest');
    assert.throws(
      () => readTree(store, tree),
      (error) => isCellarError(error, 'E_TREE_DAMAGED'),
    );
  });

  test('a flipped bit anywhere in the database file is found, and the journal brings the rows back', async () => {
    const root = newRoot();
    {
      using store = openStore(root, { create: true });
      await commit(store, 'app', { a: 'alpha' });
    }
    const pristine = readFileSync(join(root, 'cellar.db'));
    for (const at of [100, 5000, pristine.length - 1, 2048]) {
      const bytes = Buffer.from(pristine);
      bytes[at]! ^= 4;
      writeFileSync(join(root, 'cellar.db'), bytes);
      const found = await damageOf(root);
      assert.ok(found, `bit at byte ${at}`);
    }
    rebuildDatabase(root);
    using store = openStore(root);
    assert.equal(resolveImage(store, 'app').record.files, 2);
    assert.deepEqual((await checkStore(store, { events: ignoreEvents })).damaged, []);
  });

  async function damageOf(root: string): Promise<boolean> {
    try {
      using store = openStore(root);
      return (await checkStore(store, { events: ignoreEvents })).damaged.some(
        ({ kind }) => kind === 'database',
      );
    } catch (error) {
      return isCellarError(error, 'E_DATABASE_DAMAGED');
    }
  }
});
