/** `cellar import`: an archive, a directory or standard input becomes an image, verified and deduplicated. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fromText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { hostPlatform, parsePlatform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference } from '../core/reference.ts';
import { openStore } from '../store/store.ts';
import { beginTransaction, type Transaction } from '../store/transaction.ts';
import type { Entry } from '../tree/entry.ts';
import { compileExcludes } from '../tree/exclude.ts';
import type { Context } from './context.ts';
import { ingestArchive } from './ingest-archive.ts';
import { ingestDirectory } from './ingest-directory.ts';

export interface ImportOptions {
  /** Path of a tar file or a directory, or `-` for standard input. */
  readonly source: string;
  readonly reference: string;
  /** Wanted digest of the source's bytes as they lie on disk (or arrive). */
  readonly sha256?: Digest | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly platform?: string | undefined;
  readonly exclude?: readonly string[];
  /** Bounds against bombs: bytes of content, number of entries. */
  readonly maxSize?: number | undefined;
  readonly maxFiles?: number | undefined;
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
  readonly dryRun: boolean;
}

export const defaultMaxSize = 2 ** 40;
export const defaultMaxFiles = 20_000_000;

/** @throws E_SOURCE_NOT_FOUND, E_CHECKSUM_MISMATCH, E_ARCHIVE_*, E_NO_SPACE, E_REFERENCE_INVALID, E_SOURCE_CHANGED */
export async function importImage(context: Context, options: ImportOptions): Promise<ImportResult> {
  const started = performance.now();
  const reference = parseReference(options.reference);
  const platform = options.platform === undefined ? hostPlatform : parsePlatform(options.platform);
  const kind = sourceKind(options);
  using store = openStore(context.storeRoot, { create: true });
  await using transaction = await beginTransaction(store, { signal: context.signal });
  const entries = await ingest(context, transaction, kind, options);
  if (options.dryRun === true) {
    const preview = await transaction.preview({ entries });
    return { reference, ...preview, elapsedMs: since(started), dryRun: true };
  }
  const { image, tree, record, newObjects, newBytes } = await transaction.commit({
    entries,
    platform,
    labels: options.labels ?? {},
    provenance: provenance(options),
    references: [reference],
    action: 'import',
  });
  const { files, bytes } = record;
  return {
    reference,
    image,
    tree,
    files,
    bytes,
    newObjects,
    newBytes,
    elapsedMs: since(started),
    dryRun: false,
  };
}

type SourceKind = 'archive' | 'directory' | 'stdin';

/** Exported for repair, which brings content in without setting a reference. */
export async function ingest(
  context: Context,
  transaction: Transaction,
  kind: SourceKind,
  options: Omit<ImportOptions, 'reference'>,
): Promise<Entry[]> {
  const exclude = compileExcludes(options.exclude ?? []);
  const { signal, events } = context;
  if (kind === 'directory') {
    return await ingestDirectory(transaction, fromText(resolve(options.source)), { exclude, signal, events });
  }
  return await ingestArchive(transaction, {
    source: options.source,
    stream: kind === 'stdin' ? process.stdin : undefined,
    sha256: options.sha256,
    exclude,
    limits: { maxSize: options.maxSize ?? defaultMaxSize, maxFiles: options.maxFiles ?? defaultMaxFiles },
    signal,
    events,
  });
}

/** @throws E_SOURCE_NOT_FOUND, E_USAGE */
export function sourceKind({ source, sha256 }: Pick<ImportOptions, 'source' | 'sha256'>): SourceKind {
  if (source === '-') return 'stdin';
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source } });
  if (!stat.isDirectory()) return 'archive';
  if (sha256 === undefined) return 'directory';
  throw new CellarError('E_USAGE', {
    details: { problem: '--sha256 is the digest of an archive; a directory has none' },
  });
}

function provenance({ source, sha256 }: ImportOptions): ImageRecord['provenance'] {
  return {
    via: 'import',
    source: source === '-' ? '-' : resolve(source),
    ...(sha256 === undefined ? {} : { sourceDigest: sha256 }),
    verified: sha256 === undefined ? 'no' : 'checksum',
  };
}

function since(started: number): number {
  return Math.round(performance.now() - started);
}
