/**
 * The tree of an OCI image, whose layers the store keeps as they were pulled: merged when a tree is first asked for,
 * and remembered by the manifest's digest, since layers never change.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Reference } from '../core/reference.ts';
import { isImageConfig, parseManifest } from '../remote/oci/manifest.ts';
import { treeOf } from '../store/blobs.ts';
import { objectFile } from '../store/layout.ts';
import { readObject } from '../store/objects.ts';
import { listReferences } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/transaction.ts';
import { treeIsWhole } from '../store/trees.ts';
import type { Entry } from '../tree/entry.ts';
import type { Context } from './context.ts';
import { defaultMaxFiles, defaultMaxSize } from './ingest/local.ts';
import type { Holder } from './gc/evict.ts';
import { unpackOci, type OciLayer } from './ingest/oci-layers.ts';

/**
 * For a record of kind `oci`. Writes to the store unless the tree is there already.
 * @throws E_ARCHIVE_FORMAT for what is no container image, E_ARCHIVE_UNSAFE, E_STORE_READ_ONLY, E_OBJECT_MISSING,
 *   E_OBJECT_DAMAGED, E_NO_SPACE, E_CANCELLED
 */
export async function ociTree(context: Holder, store: Store, record: ImageRecord): Promise<Digest> {
  const { content } = record;
  const known = treeOf(store, record);
  if (known !== undefined && treeIsWhole(store, known)) return known;
  const { inTransaction } = await import('./gc/bound.ts');
  const work = async (transaction: Transaction): Promise<Digest> => {
    const entries = await mergeLayers(context, transaction, content);
    return await transaction.commitUnpacked(content, { entries });
  };
  return await inTransaction(context, store, work, { except: namesOf(store, content) });
}

function namesOf(store: Store, content: Digest): Reference[] {
  return listReferences(store).flatMap(({ reference, image }) =>
    readRecord(store, image).content === content ? [reference] : [],
  );
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
