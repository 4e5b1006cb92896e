/** The last step of a write: records, trees and references change together, in one database transaction. */
import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { recordDigest, type ImageRecord } from '../core/record.ts';
import type { Reference } from '../core/reference.ts';
import { planMended, refuseDamaged } from './damaged.ts';
import { lockStore } from './lock.ts';
import { planReference, type HistoryRow } from './references.ts';
import { listImages } from './resolve.ts';
import type { Store } from './store.ts';
import { treeIsWhole, treeObjects, treeRow, type TreeRow } from './trees.ts';

/** What a write says about its image, beside its tree. */
export interface NewRecord {
  readonly platform: Platform;
  readonly labels: ImageRecord['labels'];
  readonly provenance: ImageRecord['provenance'];
  /** References to set. */
  readonly references: readonly Reference[];
  readonly action: HistoryRow['action'];
}

export interface Written {
  readonly image: Digest;
  readonly tree: Digest;
  readonly record: ImageRecord;
}

/** `arrived` are the objects that were just published, in place of damaged ones perhaps. */
export function commitRows(
  store: Store,
  {
    image,
    tree,
    row,
    arrived,
  }: { image: NewRecord; tree: Digest; row: TreeRow; arrived: ReadonlySet<Digest> },
): Written {
  return store.rows.update(() => {
    const record = recordFor(store, image, tree, row);
    const digest = recordDigest(record);
    const { platform, action } = image;
    const at = Date.now();
    const references = image.references.flatMap((reference) =>
      planReference(store.rows, { reference, platform, image: digest, at, action }),
    );
    const isNewTree = store.rows.get('tree', tree) === undefined;
    const isNewImage = store.rows.get('image', digest) === undefined;
    return {
      changes: [
        ...(isNewTree ? [{ kind: 'tree' as const, key: tree, value: row }] : []),
        ...(isNewImage ? [{ kind: 'image' as const, key: digest, value: record }] : []),
        ...references,
        ...planMended(store, arrived),
      ],
      result: { image: digest, tree, record },
    };
  });
}

/** An image of a tree that the store has already, whole; `undefined` when it has not. */
export async function referToTree(
  store: Store,
  tree: Digest,
  image: NewRecord,
  options: { signal?: AbortSignal },
): Promise<Written | undefined> {
  using _lock = await lockStore(store.root, 'shared', options);
  if (!treeIsWhole(store, tree)) return undefined;
  try {
    refuseDamaged(store, () => treeObjects(store, tree));
  } catch (error) {
    if (error instanceof CellarError) return undefined;
    throw error;
  }
  return commitRows(store, { image, tree, row: treeRow(store, tree), arrived: new Set() });
}

/** The same tree from the same source is the same image: its record, with the time it first came, is kept. */
function recordFor(store: Store, image: NewRecord, tree: Digest, row: TreeRow): ImageRecord {
  const { platform, labels, provenance } = image;
  const created = Math.floor(Date.now() / 1000);
  const { files, bytes } = row;
  const fresh: ImageRecord = {
    kind: 'tree',
    content: tree,
    platform,
    created,
    files,
    bytes,
    labels,
    provenance,
  };
  const known = listImages(store).find(
    ({ record }) => record.content === tree && isDeepStrictEqual({ ...record, created }, fresh),
  );
  return known?.record ?? fresh;
}
