/** What can be wrong with an archive, as errors that name the archive and the place. */
import { toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';

export interface TarProblems {
  /** No archive of a kind we read. */
  format(problem: string): CellarError;
  corrupt(offset: number, problem: string): CellarError;
  truncated(offset: number, problem: string): CellarError;
  unsafe(path: ByteString, problem: string): CellarError;
  limit(limit: string): CellarError;
}

export function tarProblems(source: string): TarProblems {
  return {
    format: (problem) => new CellarError('E_ARCHIVE_FORMAT', { details: { source, problem } }),
    corrupt: (offset, problem) =>
      new CellarError('E_ARCHIVE_CORRUPT', { details: { source, offset, problem } }),
    truncated: (offset, problem) =>
      new CellarError('E_ARCHIVE_TRUNCATED', { details: { source, offset, problem } }),
    unsafe: (path, problem) =>
      new CellarError('E_ARCHIVE_UNSAFE', { details: { source, path: shorten(path), problem } }),
    limit: (limit) => new CellarError('E_ARCHIVE_LIMIT', { details: { source, limit } }),
  };
}

/** For messages: a hostile name may be megabytes long. */
export function shorten(path: ByteString): string {
  return path.length <= 300 ? toText(path) : `${toText(path.slice(0, 200))}… (${path.length} bytes)`;
}
