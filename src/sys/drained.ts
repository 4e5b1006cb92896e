/** Waiting for a slow reader, which may never read again. */
import type { Writable } from 'node:stream';
import { CellarError } from '../core/errors.ts';

/**
 * After a write that returned false: resolves when `stream` takes more, or never will. Leaves no listener behind, so it
 * serves for as many writes as there are.
 * @throws what the stream met meanwhile, E_CANCELLED
 */
export async function drained(stream: Writable, signal?: AbortSignal): Promise<void> {
  if (stream.destroyed || !stream.writableNeedDrain) return;
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const goOn = (): void => resolve();
  const cancel = (): void => reject(new CellarError('E_CANCELLED', { cause: signal?.reason }));
  stream.on('drain', goOn).on('close', goOn).on('error', reject);
  signal?.addEventListener('abort', cancel);
  if (signal?.aborted === true) cancel();
  try {
    await promise;
  } finally {
    stream.off('drain', goOn).off('close', goOn).off('error', reject);
    signal?.removeEventListener('abort', cancel);
  }
}
