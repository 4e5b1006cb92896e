/** `cellar import`: an archive, a directory or standard input becomes an image, verified and deduplicated. */
import { resolve } from 'node:path';
import type { Digest } from '../core/digest.ts';
import { hostPlatform, parsePlatform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference } from '../core/reference.ts';
import { referToContent, type NewRecord, type Written } from '../store/commit-rows.ts';
import { identifyArchive, recallTree } from '../store/imported-archives.ts';
import { openToFill } from '../store/dry-run.ts';
import { requireWritable, type Store } from '../store/store.ts';
import type { CommitResult, Preview, Transaction } from '../store/transaction.ts';
import type { TreeRow } from '../store/trees.ts';
import { inTransaction } from './gc/bound.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import {
  defaultMaxFiles,
  defaultMaxSize,
  ingestLocal,
  kindOfLocal,
  type LocalSource,
} from './ingest/local.ts';

export interface ImportOptions extends LocalSource {
  readonly reference: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly platform?: string | undefined;
  /** Read the archive even if it has not changed (inode, size, times) since it was imported. */
  readonly reread?: boolean;
  readonly dryRun?: boolean;
}

export interface ImportResult {
  readonly reference: string;
  /** Absent in a dry run. */
  readonly image?: Digest;
  readonly tree: Digest;
  readonly files: number;
  readonly bytes: number;
  readonly newObjects: number;
  readonly newBytes: number;
  readonly elapsedMs: number;
  /** The archive was not read: it has not changed since it was imported. */
  readonly unchanged: boolean;
  readonly dryRun: boolean;
}

/** @throws E_SOURCE_NOT_FOUND, E_STORE_FULL, E_CHECKSUM_MISMATCH, E_ARCHIVE_*, E_NO_SPACE, E_REFERENCE_INVALID, E_SOURCE_CHANGED */
export async function importImage(context: Context, options: ImportOptions): Promise<ImportResult> {
  const started = performance.now();
  const reference = parseReference(options.reference);
  const platform = options.platform === undefined ? hostPlatform : parsePlatform(options.platform);
  const kind = kindOfLocal(options);
  const image: NewRecord = {
    platform,
    labels: options.labels ?? {},
    provenance: provenance(options),
    references: [reference],
    action: 'import',
  };
  const { signal } = context;
  using store = openToFill(context.storeRoot, options);
  requireWritable(store);
  const archive =
    kind === 'archive' && options.dryRun !== true ? identifyArchive(resolve(options.source)) : undefined;
  const deciding = JSON.stringify(options.exclude ?? []);
  const known =
    archive && options.reread !== true
      ? recallTree(store, archive, { options: deciding, sha256: options.sha256 })
      : undefined;
  const again =
    // What is larger than was asked for is read again, which says so.
    known === undefined || !isWithin(store, known, options)
      ? undefined
      : await referToContent(store, { kind: 'tree', digest: known }, image, { signal });
  if (again !== undefined)
    return {
      ...result(reference, again),
      newObjects: 0,
      newBytes: 0,
      elapsedMs: elapsedSince(started),
      unchanged: true,
      dryRun: false,
    };

  const { sha256, dryRun = false } = options;
  const read = archive && { ...archive, options: deciding, ...(sha256 === undefined ? {} : { sha256 }) };
  const work = async (transaction: Transaction): Promise<CommitResult | { readonly preview: Preview }> => {
    const entries = await ingestLocal(context, transaction, options);
    if (dryRun) return { preview: await transaction.preview({ entries }) };
    return await transaction.commit({
      ...{ ...image, entries },
      ...(read === undefined ? {} : { archive: read }),
    });
  };
  const done = await inTransaction(context, store, work, { dryRun });
  if ('preview' in done)
    return { reference, ...done.preview, elapsedMs: elapsedSince(started), unchanged: false, dryRun };
  const { newObjects, newBytes, ...written } = done;
  return {
    ...result(reference, written),
    newObjects,
    newBytes,
    elapsedMs: elapsedSince(started),
    unchanged: false,
    dryRun: false,
  };
}

function isWithin(
  store: Store,
  tree: Digest,
  { maxSize = defaultMaxSize, maxFiles = defaultMaxFiles }: ImportOptions,
): boolean {
  const row = store.rows.get<TreeRow>('tree', tree);
  return row !== undefined && row.bytes <= maxSize && row.files <= maxFiles;
}

function result(
  reference: string,
  { image, content, record }: Written,
): Pick<ImportResult, 'reference' | 'image' | 'tree' | 'files' | 'bytes'> {
  const { files, bytes } = record;
  return { reference, image, tree: content, files, bytes };
}

function provenance({ source, sha256 }: ImportOptions): ImageRecord['provenance'] {
  return {
    via: 'import',
    source: source === '-' ? '-' : resolve(source),
    ...(sha256 === undefined ? {} : { sourceDigest: sha256 }),
    verified: sha256 === undefined ? 'no' : 'checksum',
  };
}
