/** What lies on this machine, or comes through standard input, read into entries: an archive or a directory. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Transaction } from '../../store/transaction.ts';
import type { Entry } from '../../tree/entry.ts';
import { compileExcludes } from '../../tree/exclude.ts';
import type { Context } from '../context.ts';

export interface LocalSource {
  /** Path of a tar file or a directory, or `-` for standard input. */
  readonly source: string;
  /** Wanted digest of the source's bytes as they lie on disk (or arrive). */
  readonly sha256?: Digest | undefined;
  readonly exclude?: readonly string[];
  /** Bounds against bombs: bytes of content, number of entries. */
  readonly maxSize?: number | undefined;
  readonly maxFiles?: number | undefined;
}

export type LocalKind = 'archive' | 'directory' | 'stdin';

export const defaultMaxSize = 2 ** 40;
export const defaultMaxFiles = 20_000_000;

/** The tree that a source holds, its content staged in the transaction. @throws what `kindOfLocal` and each kind does */
export async function ingestLocal(
  context: Context,
  transaction: Transaction,
  options: LocalSource,
): Promise<Entry[]> {
  const kind = kindOfLocal(options);
  const { source, maxSize = defaultMaxSize, maxFiles = defaultMaxFiles } = options;
  const shared = {
    exclude: compileExcludes(options.exclude ?? []),
    limits: { maxSize, maxFiles },
    ...{ signal: context.signal, events: context.events },
  };
  if (kind === 'directory') {
    const { ingestDirectory } = await import('./directory.ts');
    return await ingestDirectory(transaction, fromText(resolve(source)), shared);
  }
  const { ingestArchive } = await import('./archive.ts');
  return await ingestArchive(transaction, {
    ...shared,
    source: kind === 'stdin' ? 'standard input' : source,
    stream: kind === 'stdin' ? process.stdin : undefined,
    sha256: options.sha256,
  });
}

/** @throws E_SOURCE_NOT_FOUND, E_USAGE */
export function kindOfLocal({ source, sha256 }: LocalSource): LocalKind {
  if (source === '-') return 'stdin';
  const stat = statSync(source, { throwIfNoEntry: false });
  if (stat === undefined) throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source } });
  if (!stat.isDirectory()) return 'archive';
  if (sha256 === undefined) return 'directory';
  throw new CellarError('E_USAGE', {
    details: { problem: '--sha256 is the digest of an archive; a directory has none' },
  });
}
