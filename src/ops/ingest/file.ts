/** One file that was made for a tree, brought into the store with the metadata that it has there. */
import { open } from 'node:fs/promises';
import type { Digest } from '../../core/digest.ts';
import type { IngestPool } from '../../store/ingest/pool.ts';
import type { InodeMeta } from '../../tree/entry.ts';

/** `digest` is absent for an empty file, as in a tree. `size` in bytes. */
export async function ingestFile(
  ingest: IngestPool,
  file: string,
  meta: InodeMeta,
): Promise<{ readonly size: number; readonly digest?: Digest }> {
  await using handle = await open(file, 'r');
  const { size } = await handle.stat();
  if (size === 0) return { size };
  const content = { size, digest: undefined as Digest | undefined };
  ingest.range(content, meta, { fd: handle.fd, offset: 0 });
  await ingest.drain();
  return { size, digest: content.digest! };
}
