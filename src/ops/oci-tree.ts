/**
 * The tree of an OCI image, whose layers the store keeps as they were pulled: merged when a tree is first asked for,
 * and remembered by the manifest's digest, since layers never change.
 */
import { readFileSync } from 'node:fs';
import { sha256, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { ImageRecord } from '../core/record.ts';
import { isImageConfig, parseManifest } from '../remote/oci/manifest.ts';
import { treeOf } from '../store/blobs.ts';
import { objectFile } from '../store/layout.ts';
import type { Store } from '../store/store.ts';
import { beginTransaction, type Transaction } from '../store/transaction.ts';
import { treeIsWhole } from '../store/trees.ts';
import { isErrno } from '../sys/errno.ts';
import type { Entry } from '../tree/entry.ts';
import type { Context } from './context.ts';
import { defaultMaxFiles, defaultMaxSize } from './import.ts';
import { unpackOci, type OciLayer } from './unpack-oci.ts';

/**
 * For a record of kind `oci`. Writes to the store unless the tree is there already.
 * @throws E_ARCHIVE_FORMAT for what is no container image, E_ARCHIVE_UNSAFE, E_STORE_READ_ONLY, E_OBJECT_MISSING,
 *   E_OBJECT_DAMAGED, E_NO_SPACE, E_CANCELLED
 */
export async function ociTree(
  { events, signal }: Pick<Context, 'events' | 'signal'>,
  store: Store,
  record: ImageRecord,
): Promise<Digest> {
  const { content } = record;
  const known = treeOf(store, record);
  if (known !== undefined && treeIsWhole(store, known)) return known;
  await using transaction = await beginTransaction(store, { signal });
  const entries = await mergeLayers({ events, signal }, transaction, content);
  return await transaction.commitUnpacked(content, { entries });
}

/** The entries that the layers of a manifest make, their content staged in `transaction`. @throws as {@link ociTree} */
export async function mergeLayers(
  { events, signal }: Pick<Context, 'events' | 'signal'>,
  transaction: Transaction,
  manifest: Digest,
): Promise<Entry[]> {
  const source = `image ${manifest.slice(0, 12)}`;
  const layers = layersOf(transaction.store, manifest, source);
  const limits = { maxSize: defaultMaxSize, maxFiles: defaultMaxFiles };
  return await unpackOci(transaction, { source, layers, limits, signal, events });
}

function layersOf(store: Store, manifest: Digest, source: string): OciLayer[] {
  const { config, layers } = parseManifest(readObject(store, manifest), { url: source });
  if (config === undefined || !isImageConfig(config)) {
    const problem = `it is no container image but ${JSON.stringify(config?.mediaType ?? 'an index')}`;
    throw new CellarError('E_ARCHIVE_FORMAT', {
      details: { source, problem },
      hint: 'no tree can be made of it; push it on, or export it as it is',
    });
  }
  return layers.map(({ digest, mediaType }) => ({ digest, mediaType, path: objectFile(store.root, digest) }));
}

/** Small, and checked like all that decides what a tree is. */
function readObject(store: Store, object: Digest): Buffer {
  let bytes: Buffer;
  try {
    bytes = readFileSync(objectFile(store.root, object));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw new CellarError('E_OBJECT_MISSING', { details: { object } });
    throw error;
  }
  const found = sha256(bytes);
  if (found !== object) throw new CellarError('E_OBJECT_DAMAGED', { details: { object, found } });
  return bytes;
}
