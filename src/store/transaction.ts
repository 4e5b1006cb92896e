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
import { openSync, readdirSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { closeQuietly } from '../sys/close.ts';
import { toCellarError } from '../sys/errno.ts';
import { syncfsAsync } from '../sys/syncfs.ts';
import type { Entry } from '../tree/entry.ts';
import { createAdopter, type Adopter } from './adopt.ts';
import type { BlobsRow } from './blobs.ts';
import {
  commitRows,
  commitUnpackedRows,
  type NewRecord,
  type Written,
  type WrittenContent,
} from './commit-rows.ts';
import { damagedObjects, planMended } from './damaged.ts';
import { describeTree, nameTree, type TreeDescription } from './describe-tree.ts';
import { createIngestPool, type IngestPool } from './ingest/pool.ts';
import { inStore } from './layout.ts';
import { lockStore } from './lock.ts';
import { makeShards, publishObjects, publishTree, stageTree } from './publish.ts';
import { createStaging } from './staging.ts';
import { requireWritable, type Store } from './store.ts';
import { treeIsWhole, treeRow } from './trees.ts';

export interface Transaction extends AsyncDisposable {
  readonly store: Store;
  /** Takes content, hashes it and stages what the store lacks. */
  readonly ingest: IngestPool;
  /** Takes whole files that are hashed already. */
  readonly adopt: Pick<Adopter, 'file' | 'bytes' | 'stream'>;
  /**
   * Brings what is staged by now to the medium, so that less is left for the commit to wait for.
   * @throws E_NO_SPACE, E_QUOTA, E_IO
   */
  settle(): Promise<void>;
  /** @throws E_NO_SPACE, E_QUOTA, E_IO and what `ingest` met; the store is unchanged then */
  commit(image: NewImage): Promise<CommitResult>;
  /**
   * Publish what the layers of an OCI image come to, and remember it by the manifest's digest.
   * @returns the tree @throws as `commit`
   */
  commitUnpacked(manifest: Digest, unpacked: NewTree): Promise<Digest>;
  /** Publish only what the store knows to be damaged or missing. @returns the objects mended, and whether the tree's files were */
  mend(
    entries: readonly Entry[] | undefined,
  ): Promise<{ objects: ReadonlySet<Digest>; tree: Digest | undefined }>;
  /** What `commit` would do, without doing it. */
  preview(image: NewTree): Promise<Preview>;
}

export type NewImage = NewRecord & (NewTree | NewBlobs);

export interface NewTree {
  /** Canonical order, every file of size > 0 with its digest. */
  readonly entries: readonly Entry[];
}

export interface NewBlobs extends BlobsRow {
  readonly kind: 'oci' | 'file';
  readonly content: Digest;
}

export interface CommitResult extends Written {
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
  options: { signal?: AbortSignal; onStaged?: (staging: string) => (bytes: number) => void } = {},
): Promise<Transaction> {
  requireWritable(store);
  await using stack = new AsyncDisposableStack();
  stack.use(await lockStore(store.root, 'shared', options));
  const inside = <T>(doing: string, work: () => T): T => translate(store, doing, work);
  const staging = stack.use(inside('staging', () => createStaging(store.root)));
  const sync = stack.adopt(
    inside('staging', () => openSync(staging.directory, 'r')),
    closeQuietly,
  );
  const objects = `${staging.directory}/objects`;
  const ingest = stack.use(
    createIngestPool({
      objects: inStore(store.root, 'objects'),
      staging: objects,
      privileged: store.privileged,
      damaged: [...damagedObjects(store).keys()],
      storeIsEmpty: readdirSync(inStore(store.root, 'objects')).length === 0,
      signal: options.signal,
      onStaged: options.onStaged?.(staging.directory),
    }),
  );
  inside('staging', () => makeShards(objects));
  const adopt = createAdopter(store, staging.directory);
  const owned = stack.move();
  return {
    store,
    ingest,
    adopt,
    settle: () => translateAsync(store, 'staging', () => syncfsAsync(sync)),
    async commit(image) {
      await ingest.finish();
      return await translateAsync(store, 'publishing', () =>
        publish({ store, ingest, adopt, image, staging: staging.directory, sync, options }),
      );
    },
    async commitUnpacked(manifest, unpacked) {
      await ingest.finish();
      return await translateAsync(store, 'publishing', async () => {
        const { content, mended } = await publishContent({
          ...{ store, ingest, adopt, staging: staging.directory, sync, options },
          image: unpacked,
        });
        return commitUnpackedRows(store, { manifest, content, mended });
      });
    },
    async mend(entries) {
      await ingest.finish();
      return await translateAsync(store, 'publishing', () =>
        publishMended({ store, staging: staging.directory, sync }, entries),
      );
    },
    async preview({ entries }) {
      await ingest.finish();
      const { tree, row } = describeTree(entries);
      const { newObjects, newBytes } = ingest;
      return { tree, files: row.files, bytes: row.bytes, newObjects, newBytes };
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

interface Publishing<Image = NewImage> {
  readonly store: Store;
  readonly ingest: IngestPool;
  readonly adopt: Adopter;
  readonly image: Image;
  readonly staging: string;
  readonly sync: number;
  readonly options: { signal?: AbortSignal };
}

async function publish(publishing: Publishing): Promise<CommitResult> {
  const { store, ingest, adopt, image } = publishing;
  const newObjects = ingest.newObjects + adopt.newObjects;
  const newBytes = ingest.newBytes + adopt.newBytes;
  const { content, mended } = await publishContent(publishing);
  return { ...commitRows(store, { image, content, mended }), newObjects, newBytes };
}

/** Everything but the rows. `mended` are those objects that arrived in place of damaged ones. */
async function publishContent(
  publishing: Publishing<NewTree | NewBlobs>,
): Promise<{ content: WrittenContent; mended: ReadonlySet<Digest> }> {
  const { store, ingest, adopt, image, staging, sync, options } = publishing;
  const newObjects = ingest.newObjects + adopt.newObjects;
  // The objects go to the medium while the tree is described; what comes after is a small sync of its own.
  const objectsSynced = newObjects > 0 ? syncfsAsync(sync) : Promise.resolve();
  objectsSynced.catch(() => undefined); // seen below
  const named = 'entries' in image ? nameTree(image.entries) : undefined;
  const description =
    named === undefined || !('entries' in image) || treeIsWhole(store, named.tree)
      ? undefined
      : await stageTree(staging, named, image.entries);
  const damaged = damagedObjects(store);
  const mended = new Set<Digest>();
  let arrived = 0;
  await objectsSynced;
  if (description !== undefined || newObjects > 0) {
    if (description !== undefined) await syncfsAsync(sync);
    if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
    arrived = publishObjects(`${staging}/objects`, inStore(store.root, 'objects'), {
      each: (object) => void (damaged.has(object) && mended.add(object)),
    });
    if (description !== undefined) publishTree(store, staging, description.tree);
    await syncfsAsync(sync);
  }
  return { content: writtenContent(store, image, { tree: named?.tree, description, arrived }), mended };
}

function writtenContent(
  store: Store,
  image: NewTree | NewBlobs,
  given: {
    tree: Digest | undefined;
    description: TreeDescription | undefined;
    /** How many objects. */
    arrived: number;
  },
): WrittenContent {
  const { tree, description, arrived } = given;
  if (!('entries' in image) || tree === undefined) {
    const { kind, content, objects, files, bytes } = image as NewBlobs;
    return { kind, digest: content, row: { objects, files, bytes } };
  }
  if (description === undefined) return { kind: 'tree', digest: tree, row: treeRow(store, tree) };
  // What was there before was found by its name and not read again, so only all-new trees count as verified.
  const allHashed = arrived * 32 === description.objects.length;
  return { kind: 'tree', digest: tree, row: { ...description.row, verifiedAt: allHashed ? Date.now() : 0 } };
}

async function publishMended(
  { store, staging, sync }: Pick<Publishing, 'store' | 'staging' | 'sync'>,
  entries: readonly Entry[] | undefined,
): Promise<{ objects: ReadonlySet<Digest>; tree: Digest | undefined }> {
  const named = entries === undefined ? undefined : nameTree(entries);
  const isKnown = named !== undefined && store.rows.get('tree', named.tree) !== undefined;
  const tree = !isKnown || treeIsWhole(store, named.tree) ? undefined : named.tree;
  if (tree !== undefined) await stageTree(staging, named!, entries!);
  const objects = new Set<Digest>();
  await syncfsAsync(sync);
  const damaged = damagedObjects(store);
  publishObjects(`${staging}/objects`, inStore(store.root, 'objects'), {
    only: (object) => damaged.has(object),
    each: (object) => void objects.add(object),
  });
  if (tree !== undefined) publishTree(store, staging, tree);
  await syncfsAsync(sync);
  store.rows.update(() => ({ changes: planMended(store, objects), result: undefined }));
  return { objects, tree };
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
