/**
 * Unpacking a stream into memory that the caller gives a piece at a time. zstd goes straight there where its
 * library can be called; everything else is unpacked as usual and copied.
 */
import { CellarError } from '../../core/errors.ts';
import { openZstdDecoder, type ZstdDecoder } from '../../sys/libzstd.ts';
import { corrupt, decompress, firstBytes, prepend, truncated, type DecompressOptions } from './decompress.ts';
import { detectCompression } from './detect.ts';

export interface Room {
  readonly bytes: Buffer;
}

/**
 * The unpacked bytes in the rooms that `room` gives, in their order, each full but the last, whose `bytes` are what
 * is used of it; that may be nothing. Chunks of `input` need only be valid until the next is asked for.
 * @throws as decompress does, and what `room` throws
 */
export async function* decompressInto<R extends Room>(
  input: AsyncIterable<Uint8Array>,
  room: () => Promise<R>,
  options: DecompressOptions,
): AsyncGenerator<R> {
  if (options.signal.aborted) throw new CellarError('E_CANCELLED');
  const chunks = input[Symbol.asyncIterator]();
  const head = await firstBytes(chunks);
  const whole = prepend(head, chunks);
  using decoder = detectCompression(head) === 'zstd' ? openZstdDecoder() : undefined;
  if (decoder === undefined) yield* copied(decompress(whole, options), room);
  else yield* unpacked(decoder, whole, { ...options, room });
}

/** While the consumer has one room, the next is being filled. */
async function* unpacked<R extends Room>(
  decoder: ZstdDecoder,
  input: AsyncGenerator<Uint8Array>,
  { room, source, signal }: DecompressOptions & { readonly room: () => Promise<R> },
): AsyncGenerator<R> {
  let chunk: Uint8Array = Buffer.alloc(0);
  let taken = 0;
  let isBetween = true;
  /** The library may hold unpacked bytes that had no room. */
  let holds = false;

  let isStopped = false;
  let interrupt = (): void => undefined;
  /** What is waited for, unless we stop: a network may be silent for ever. */
  const unlessStopped = async <T>(wait: () => Promise<T>): Promise<T> => {
    const result = await new Promise<T | undefined>((resolve, reject) => {
      interrupt = () => resolve(undefined);
      if (!isStopped) wait().then(resolve, reject);
      else interrupt();
    });
    if (isStopped) throw new CellarError('E_CANCELLED');
    return result as T;
  };
  const stop = (): void => {
    isStopped = true;
    interrupt();
  };

  /** Whether there is anything to give to the library. */
  const more = async (): Promise<boolean> => {
    while (chunk.length === 0 && !holds) {
      const next = await unlessStopped(() => input.next());
      if (next.done === true) return false;
      chunk = next.value;
    }
    return true;
  };

  const fill = async (): Promise<{ room: R; isLast: boolean }> => {
    const free = await unlessStopped(room);
    let used = 0;
    while (used < free.bytes.length) {
      if (!(await more())) {
        if (!isBetween) throw truncated(source, taken);
        return { room: { ...free, bytes: free.bytes.subarray(0, used) }, isLast: true };
      }
      const step = await decoder.step(chunk, free.bytes.subarray(used));
      if (step.problem !== undefined) throw corrupt(source, taken, step.problem);
      ({ isBetween } = step);
      taken += step.read;
      used += step.written;
      chunk = chunk.subarray(step.read);
      holds = !isBetween && used === free.bytes.length;
    }
    return { room: free, isLast: false };
  };

  let filling: ReturnType<typeof fill> | undefined;
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (let isOver = false; !isOver;) {
      const filled = await (filling ?? fill());
      filling = undefined;
      isOver = filled.isLast;
      if (!isOver) {
        filling = fill();
        filling.catch(() => undefined); // seen when its turn comes
      }
      yield filled.room;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    // The library must be done with its memory before that goes.
    await filling?.catch(() => undefined);
    input.return(undefined).catch(() => undefined);
  }
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
