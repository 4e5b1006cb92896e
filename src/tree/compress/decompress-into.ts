/**
 * Unpacking a stream into memory that the caller gives a piece at a time. Much zstd goes straight there, on a thread of
 * its own, where its library can be called; everything else is unpacked as usual and copied.
 */
import { CellarError } from '../../core/errors.ts';
import { canCallZstd } from '../../sys/libzstd.ts';
import { decompress, firstBytes, prepend, type DecompressOptions } from './decompress.ts';
import { detectCompression, magicBytes } from './detect.ts';
import { unpackOnThread, type Room } from './unpack-thread.ts';

/** Less packed input than this is unpacked before a thread for it would have started. */
const worthThread = 1 << 20;

/**
 * The unpacked bytes in the rooms that `room` gives, in their order, each full but the last ones, whose `bytes` are what
 * is used of them; that may be nothing. Chunks of `input` need only be valid until the next is asked for.
 * @throws as decompress does, and what `room` throws
 */
export async function* decompressInto<R extends Room>(
  input: AsyncIterable<Uint8Array>,
  room: () => Promise<R>,
  options: DecompressOptions,
): AsyncGenerator<R> {
  if (options.signal.aborted) throw new CellarError('E_CANCELLED');
  const chunks = input[Symbol.asyncIterator]();
  const head = await firstBytes(chunks, magicBytes);
  const whole = prepend(head, chunks);
  if (detectCompression(head) !== 'zstd' || !canCallZstd()) {
    yield* copied(decompress(whole, options), room);
    return;
  }
  const start = await firstBytes(whole, worthThread);
  const again = prepend(start, whole);
  if (start.length < worthThread) yield* copied(decompress(again, options), room);
  else yield* unpackOnThread(again, room, options);
}

async function* copied<R extends Room>(
  chunks: AsyncIterable<Uint8Array>,
  room: () => Promise<R>,
): AsyncGenerator<R> {
  let free: R | undefined;
  let used = 0;
  for await (const chunk of chunks) {
    // Into memory that threads share, a typed array's `set` takes nearly twice as long as a Buffer's `copy`.
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let taken = 0; taken < bytes.length;) {
      free ??= await room();
      const count = bytes.copy(free.bytes, used, taken);
      used += count;
      taken += count;
      if (used === free.bytes.length) {
        yield free;
        free = undefined;
        used = 0;
      }
    }
  }
  if (free !== undefined) yield { ...free, bytes: free.bytes.subarray(0, used) };
}
