/** The last step of a write: records, trees and references change together, in one database transaction. */
import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { recordDigest, type ImageKind, type ImageRecord } from '../core/record.ts';
import type { Reference } from '../core/reference.ts';
import type { BlobsRow } from './blobs.ts';
import { objectSize } from './objects.ts';
import { planMended, refuseDamaged } from './damaged.ts';
import { lockStore } from './lock.ts';
import { planReference, type HistoryRow } from './references.ts';
import { listImages } from './resolve.ts';
import { planImported, type ImportedArchive } from './imported-archives.ts';
import type { Store } from './store.ts';
import { treeIsWhole, treeObjects, treeRow, type TreeRow } from './trees.ts';

/** What a write says about its image, beside its content. */
export interface NewRecord {
  readonly platform: Platform;
  readonly labels: ImageRecord['labels'];
  readonly provenance: ImageRecord['provenance'];
  /** References to set. */
  readonly references: readonly Reference[];
  readonly action: HistoryRow['action'];
  /** Objects kept beside the content, by name. */
  readonly attachments?: ImageRecord['attachments'];
  /** The file that was read, so that it need not be read again while it does not change. */
  readonly archive?: ImportedArchive;
}

/** What a record is about, with the row that describes it. */
export type WrittenContent =
  | { readonly kind: 'tree'; readonly digest: Digest; readonly row: TreeRow }
  | { readonly kind: 'oci' | 'file'; readonly digest: Digest; readonly row: BlobsRow };

export interface Written {
  readonly image: Digest;
  /** Digest of the tree, of the OCI manifest or of the file. */
  readonly content: Digest;
  readonly record: ImageRecord;
}

/** `mended` are objects that were just published in place of damaged ones. */
export function commitRows(
  store: Store,
  { image, content, mended }: { image: NewRecord; content: WrittenContent; mended: ReadonlySet<Digest> },
): Written {
  return store.rows.update(() => {
    const record = recordFor(store, image, content);
    const digest = recordDigest(record);
    const { platform, action } = image;
    const at = Date.now();
    const references = image.references.flatMap((reference) =>
      planReference(store.rows, { reference, platform, image: digest, at, action }),
    );
    const rowKind = content.kind === 'tree' ? ('tree' as const) : ('blobs' as const);
    const isNewContent = store.rows.get(rowKind, content.digest) === undefined;
    const isNewImage = store.rows.get('image', digest) === undefined;
    return {
      changes: [
        ...(isNewContent ? [{ kind: rowKind, key: content.digest, value: content.row }] : []),
        ...(isNewImage ? [{ kind: 'image' as const, key: digest, value: record }] : []),
        ...references,
        ...(image.archive === undefined ? [] : [planImported(image.archive, content.digest)]),
        ...planMended(store, mended),
      ],
      result: { image: digest, content: content.digest, record },
    };
  });
}

/** What the layers of an image came to. Its record names the manifest: the tree can be found out again at any time. */
export function commitUnpackedRows(
  store: Store,
  written: { manifest: Digest; content: WrittenContent; mended: ReadonlySet<Digest> },
): Digest {
  const { manifest, content, mended } = written;
  const { digest, row } = content;
  return store.rows.update(() => ({
    changes: [
      ...(store.rows.get('tree', digest) === undefined
        ? [{ kind: 'tree' as const, key: digest, value: row }]
        : []),
      { kind: 'unpacked', key: manifest, value: { tree: digest } },
      ...planMended(store, mended),
    ],
    result: digest,
  }));
}

/** An image of content that the store has already, whole; `undefined` when it has not. */
export async function referToContent(
  store: Store,
  { kind, digest }: { kind: ImageKind; digest: Digest },
  image: NewRecord,
  options: { signal?: AbortSignal },
): Promise<Written | undefined> {
  using _lock = await lockStore(store.root, 'shared', options);
  const content = wholeContent(store, kind, digest);
  if (content === undefined) return undefined;
  return commitRows(store, { image, content, mended: new Set() });
}

function wholeContent(store: Store, kind: ImageKind, digest: Digest): WrittenContent | undefined {
  const blobs = kind === 'tree' ? undefined : store.rows.get<BlobsRow>('blobs', digest);
  const isThere =
    kind === 'tree'
      ? treeIsWhole(store, digest)
      : blobs?.objects.every((object) => objectSize(store.root, object) !== undefined) === true;
  if (!isThere) return undefined;
  try {
    refuseDamaged(store, () => blobs?.objects ?? treeObjects(store, digest));
  } catch (error) {
    if (error instanceof CellarError) return undefined;
    throw error;
  }
  return kind === 'tree' || blobs === undefined
    ? { kind: 'tree', digest, row: treeRow(store, digest) }
    : { kind, digest, row: blobs };
}

/** The same content from the same source is the same image: its record, with the time it first came, is kept. */
function recordFor(store: Store, image: NewRecord, { kind, digest, row }: WrittenContent): ImageRecord {
  const { platform, labels, provenance, attachments = {} } = image;
  const created = Math.floor(Date.now() / 1000);
  const { files, bytes } = row;
  const fresh: ImageRecord = {
    kind,
    content: digest,
    platform,
    created,
    files,
    bytes,
    labels,
    provenance,
    ...(Object.keys(attachments).length === 0 ? {} : { attachments }),
  };
  const known = listImages(store).find(
    ({ record }) => record.content === digest && isDeepStrictEqual({ ...record, created }, fresh),
  );
  return known?.record ?? fresh;
}
