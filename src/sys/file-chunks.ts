/** A file, or a range of it, a mebibyte at a time, as long as nobody cancels. */
import { createReadStream } from 'node:fs';
import { CellarError } from '../core/errors.ts';

export interface FileChunks {
  /** First byte, and how many; default all. */
  readonly offset?: number;
  readonly length?: number | undefined;
  readonly signal: AbortSignal;
}

/** @throws E_CANCELLED, and what open(2) and read(2) do */
export async function* fileChunks(
  path: string,
  { offset = 0, length, signal }: FileChunks,
): AsyncGenerator<Buffer> {
  if (length === 0) return;
  const end = length === undefined ? {} : { end: offset + length - 1 };
  const chunks = createReadStream(path, { start: offset, ...end, highWaterMark: 1 << 20 });
  for await (const chunk of chunks as AsyncIterable<Buffer>) {
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    yield chunk;
  }
}
