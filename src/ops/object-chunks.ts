/** An object's content, hashed before its first byte is handed on and again while it is: nothing damaged leaves. */
import { readSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { sha256Stream, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { inStore } from '../store/layout.ts';
import { openObject } from '../store/objects.ts';
import type { Store } from '../store/store.ts';

/**
 * Two passes, so that it need not fit in memory. A chunk is valid until the next is asked for.
 * @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED, E_CANCELLED
 */
export async function* objectChunks(
  store: Store,
  digest: Digest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  using object = openObject(inStore(store.root, 'objects'), digest);
  await check(digest, chunks(object.fd, signal));
  const hash = sha256Stream();
  for await (const chunk of chunks(object.fd, signal)) {
    hash.update(chunk);
    yield chunk;
  }
  refuse(digest, hash.digest('hex'));
}

async function check(digest: Digest, content: AsyncIterable<Buffer>): Promise<void> {
  const hash = sha256Stream();
  for await (const chunk of content) hash.update(chunk);
  refuse(digest, hash.digest('hex'));
}

function refuse(object: Digest, found: Digest): void {
  if (found !== object) throw new CellarError('E_OBJECT_DAMAGED', { details: { object, found } });
}

async function* chunks(fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(1 << 20);
  for (let at = 0; ;) {
    // A turn of the event loop, without which no signal could fire.
    await setImmediate();
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    const length = readSync(fd, buffer, 0, buffer.length, at);
    if (length === 0) return;
    at += length;
    yield buffer.subarray(0, length);
  }
}
