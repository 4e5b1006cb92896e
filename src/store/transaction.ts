/**
 * One write to the store, all or nothing. The order is the promise (docs/design/store-format.md):
 *
 *   stage → syncfs → rename objects, then manifest, into place → syncfs → database commit
 *
 * so that a reference never names bytes that a power cut could take away. The descriptor for syncfs is opened
 * before the first write, else earlier write-back errors would go unseen. The shared lock is held from before the
 * first presence check to after the commit. Whatever fails before the commit leaves only unreferenced bytes,
 * which the staging sweep and gc remove.
 */
import { closeSync, mkdirSync, openSync, readdirSync, renameSync } from 'node:fs';
import { isDeepStrictEqual, promisify } from 'node:util';
import { constants, zstdCompress } from 'node:zlib';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { recordDigest, type ImageRecord } from '../core/record.ts';
import type { Reference } from '../core/reference.ts';
import { toCellarError } from '../sys/errno.ts';
import { syncfsAsync } from '../sys/syncfs.ts';
import type { Entry } from '../tree/entry.ts';
import { createIngestPool, type IngestPool } from './ingest/pool.ts';
import { damagedObjects, planMended } from './damaged.ts';
import { inStore, shards, treeFile } from './layout.ts';
import { lockStore } from './lock.ts';
import { planReference, type HistoryRow } from './references.ts';
import { listImages } from './resolve.ts';
import { createStaging } from './staging.ts';
import type { Store } from './store.ts';
import { describeTree, type TreeDescription } from './describe-tree.ts';
import { packObjects, stagePart, treeIsWhole, type TreeRow } from './trees.ts';

export interface Transaction extends AsyncDisposable {
  readonly store: Store;
  /** Takes content, hashes it and stages what the store lacks. */
  readonly ingest: IngestPool;
  /** @throws E_NO_SPACE, E_QUOTA, E_IO and what `ingest` met; the store is unchanged then */
  commit(image: NewImage): Promise<CommitResult>;
  /** Publish only what the store knows to be damaged or missing. @returns the objects mended, and whether the tree's files were */
  mend(
    entries: readonly Entry[] | undefined,
  ): Promise<{ objects: ReadonlySet<Digest>; tree: Digest | undefined }>;
  /** What `commit` would do, without doing it. */
  preview(image: Pick<NewImage, 'entries'>): Promise<Preview>;
}

export interface NewImage {
  /** Canonical order, every file of size > 0 with its digest. */
  readonly entries: readonly Entry[];
  readonly platform: Platform;
  readonly labels: ImageRecord['labels'];
  readonly provenance: ImageRecord['provenance'];
  /** References to set. */
  readonly references: readonly Reference[];
  readonly action: HistoryRow['action'];
}

export interface CommitResult {
  readonly image: Digest;
  readonly tree: Digest;
  readonly record: ImageRecord;
  readonly newObjects: number;
  readonly newBytes: number;
}

export interface Preview {
  readonly tree: Digest;
  readonly files: number;
  readonly bytes: number;
  readonly newObjects: number;
  readonly newBytes: number;
}

export async function beginTransaction(
  store: Store,
  options: { signal?: AbortSignal } = {},
): Promise<Transaction> {
  if (store.readOnly) throw new CellarError('E_STORE_READ_ONLY', { details: { store: store.root } });
  await using stack = new AsyncDisposableStack();
  stack.use(await lockStore(store.root, 'shared', options));
  const inside = <T>(doing: string, work: () => T): T => translate(store, doing, work);
  const staging = stack.use(inside('staging', () => createStaging(store.root)));
  const sync = stack.adopt(
    inside('staging', () => openSync(staging.directory, 'r')),
    closeSync,
  );
  const objects = `${staging.directory}/objects`;
  inside('staging', () => makeShards(objects));
  const ingest = stack.use(
    createIngestPool({
      objects: inStore(store.root, 'objects'),
      staging: objects,
      privileged: store.privileged,
      damaged: [...damagedObjects(store).keys()],
      storeIsEmpty: readdirSync(inStore(store.root, 'objects')).length === 0,
      signal: options.signal,
    }),
  );
  const owned = stack.move();
  return {
    store,
    ingest,
    async commit(image) {
      await ingest.drain();
      return await translateAsync(store, 'publishing', () =>
        publish({ store, ingest, image, staging: staging.directory, sync, options }),
      );
    },
    async mend(entries) {
      await ingest.drain();
      return await translateAsync(store, 'publishing', () =>
        publishMended({ store, staging: staging.directory, sync }, entries),
      );
    },
    async preview({ entries }) {
      await ingest.drain();
      const { tree, row } = describeTree(entries);
      const { newObjects, newBytes } = ingest;
      return { tree, files: row.files, bytes: row.bytes, newObjects, newBytes };
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

interface Publishing {
  readonly store: Store;
  readonly ingest: IngestPool;
  readonly image: NewImage;
  readonly staging: string;
  readonly sync: number;
  readonly options: { signal?: AbortSignal };
}

async function publish({ store, ingest, image, staging, sync, options }: Publishing): Promise<CommitResult> {
  const description = describeTree(image.entries);
  const { tree } = description;
  const arrived = new Set<Digest>();
  const isNewTree = !treeIsWhole(store, tree);
  if (isNewTree) await stageTree(staging, description);
  if (isNewTree || ingest.newObjects > 0) {
    await syncfsAsync(sync);
    if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
    publishObjects(`${staging}/objects`, inStore(store.root, 'objects'), arrived);
    if (isNewTree) publishTree(store, staging, tree);
    await syncfsAsync(sync);
  }
  // What was there before was found by its name and size and not read again, so only all-new trees count as verified.
  const allHashed = arrived.size === description.objects.length;
  const row: TreeRow = { ...description.row, verifiedAt: allHashed ? Date.now() : 0 };
  const record = recordFor(store, image, tree, row);
  const { newObjects, newBytes } = ingest;
  return { ...commitRows(store, { image, record, row, arrived }), tree, record, newObjects, newBytes };
}

async function publishMended(
  { store, staging, sync }: Pick<Publishing, 'store' | 'staging' | 'sync'>,
  entries: readonly Entry[] | undefined,
): Promise<{ objects: ReadonlySet<Digest>; tree: Digest | undefined }> {
  const description = entries === undefined ? undefined : describeTree(entries);
  const known =
    description !== undefined && store.rows.get('tree', description.tree) !== undefined
      ? description
      : undefined;
  const tree = known === undefined || treeIsWhole(store, known.tree) ? undefined : known.tree;
  if (known !== undefined && tree !== undefined) await stageTree(staging, known);
  const objects = new Set<Digest>();
  await syncfsAsync(sync);
  const damaged = damagedObjects(store);
  publishObjects(`${staging}/objects`, inStore(store.root, 'objects'), objects, (object) =>
    damaged.has(object),
  );
  if (tree !== undefined) publishTree(store, staging, tree);
  await syncfsAsync(sync);
  store.rows.update(() => ({ changes: planMended(store, objects), result: undefined }));
  return { objects, tree };
}

async function stageTree(staging: string, { objects, manifest }: TreeDescription): Promise<void> {
  await stagePart(`${staging}/objects.list`, packObjects(objects));
  await stagePart(`${staging}/dump.zst`, await packManifest(manifest));
}

/** The manifest last: a tree is there when its manifest is. */
function publishTree(store: Store, staging: string, tree: Digest): void {
  renameSync(`${staging}/objects.list`, treeFile(store.root, tree, 'objects'));
  renameSync(`${staging}/dump.zst`, treeFile(store.root, tree, 'dump.zst'));
}

/**
 * A shard that the store does not have yet moves as one directory, so that a first import costs 256 renames and
 * not one for each object.
 */
function publishObjects(
  staged: string,
  objects: string,
  arrived: Set<Digest>,
  only?: (object: Digest) => boolean,
): void {
  for (const shard of shards) {
    const all = readdirSync(`${staged}/${shard}`);
    const names = only === undefined ? all : all.filter((name) => only(shard + name));
    for (const name of names) arrived.add(shard + name);
    if (names.length === 0 || (names === all && moveWhole(`${staged}/${shard}`, `${objects}/${shard}`)))
      continue;
    for (const name of names) renameSync(`${staged}/${shard}/${name}`, `${objects}/${shard}/${name}`);
  }
}

function moveWhole(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return false;
    throw error;
  }
}

function commitRows(
  store: Store,
  {
    image,
    record,
    row,
    arrived,
  }: { image: NewImage; record: ImageRecord; row: TreeRow; arrived: ReadonlySet<Digest> },
): { image: Digest } {
  const digest = recordDigest(record);
  store.rows.update(() => {
    const { platform, action } = image;
    const at = Date.now();
    const references = image.references.flatMap((reference) =>
      planReference(store.rows, { reference, platform, image: digest, at, action }),
    );
    const known = store.rows.get<TreeRow>('tree', record.content);
    return {
      changes: [
        ...(known === undefined ? [{ kind: 'tree' as const, key: record.content, value: row }] : []),
        ...(store.rows.get('image', digest) === undefined
          ? [{ kind: 'image' as const, key: digest, value: record }]
          : []),
        ...references,
        ...planMended(store, arrived),
      ],
      result: undefined,
    };
  });
  return { image: digest };
}

/** The same tree from the same source is the same image: its record, with the time it first came, is kept. */
function recordFor(store: Store, image: NewImage, tree: Digest, row: TreeRow): ImageRecord {
  const fresh = newRecord(image, tree, row);
  const known = listImages(store).find(
    ({ record }) =>
      record.content === tree && isDeepStrictEqual({ ...record, created: fresh.created }, fresh),
  );
  return known?.record ?? fresh;
}

function newRecord(image: NewImage, tree: Digest, row: TreeRow): ImageRecord {
  const { platform, labels, provenance } = image;
  const created = Math.floor(Date.now() / 1000);
  return {
    kind: 'tree',
    content: tree,
    platform,
    created,
    files: row.files,
    bytes: row.bytes,
    labels,
    provenance,
  };
}

function makeShards(objects: string): void {
  mkdirSync(objects, { mode: 0o700 });
  for (const shard of shards) mkdirSync(`${objects}/${shard}`, { mode: 0o700 });
}

const compress = promisify(zstdCompress);

/** Level 3 everywhere: a manifest is a few per cent of its content's size, and is read at every checkout that is not a mount. */
async function packManifest(chunks: readonly Uint8Array[]): Promise<Buffer> {
  return await compress(Buffer.concat(chunks), {
    params: { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 },
  });
}

function translate<T>(store: Store, doing: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toCellarError(error, { doing, path: store.root });
  }
}

async function translateAsync<T>(store: Store, doing: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toCellarError(error, { doing, path: store.root });
  }
}
