/**
 * Unpacking a stream, whatever it is packed with. gzip and zstd run in libuv's thread pool beside the main thread;
 * xz, bzip2 and lz4 in child processes. A stream that ends too early is always an error, never a short result.
 */
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { CellarError } from '../../core/errors.ts';
import { detectCompression, magicBytes } from './detect.ts';
import { filterThrough } from './programs.ts';
import { walkFrames, type FrameWalk } from './zstd-frames.ts';

export interface DecompressOptions {
  /** For messages. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/** Large pieces: each costs a turn through the thread pool. */
const chunkSize = 1 << 20;

const filters = {
  xz: { program: 'xz', args: ['-T2', '-dc'], package: 'xz-utils' },
  bzip2: { program: 'bzip2', args: ['-dc'], package: 'bzip2' },
  lz4: { program: 'lz4', args: ['-dc'], package: 'lz4' },
} as const;

/**
 * The unpacked bytes; packing is told by the first ones. Several members or frames one after another are one stream.
 * Chunks of `input` need only be valid until the next is asked for.
 * @throws E_ARCHIVE_TRUNCATED, E_ARCHIVE_CORRUPT, E_DECOMPRESSOR, E_IO, E_CANCELLED, and what reading the input throws
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  if (options.signal.aborted) throw new CellarError('E_CANCELLED');
  const chunks = input[Symbol.asyncIterator]();
  const head = await firstBytes(chunks, magicBytes);
  const whole = prepend(head, chunks);
  const compression = detectCompression(head);
  switch (compression) {
    case 'none':
      return yield* whole;
    case 'gzip':
      return yield* throughZlib(watched(whole), createGunzip({ chunkSize }), {
        ...options,
        toleratesZeros: true,
      });
    case 'zstd': {
      const frames = walkFrames();
      // Windows of up to 2 GiB, as `zstd --long=31` makes them.
      const codec = createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 31 } });
      return yield* throughZlib(watched(whole, frames), codec, { ...options, toleratesZeros: false });
    }
    default:
      return yield* filterThrough(whole, { ...filters[compression], ...options, doing: 'unpacking' });
  }
}

/** An input and what is known of the bytes taken from it so far. */
interface Watched {
  readonly chunks: AsyncIterable<Uint8Array>;
  taken(): number;
  /** Where the zeros begin that it ends with, if any. */
  zerosFrom(): number;
  isBetweenFrames(): boolean;
}

function watched(input: AsyncIterable<Uint8Array>, frames?: FrameWalk): Watched {
  let taken = 0;
  let zerosFrom = 0;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of input) {
      frames?.take(chunk);
      const last = chunk.findLastIndex((byte) => byte !== 0);
      if (last >= 0) zerosFrom = taken + last + 1;
      taken += chunk.length;
      yield chunk;
    }
  }
  return {
    chunks: chunks(),
    taken: () => taken,
    zerosFrom: () => zerosFrom,
    isBetweenFrames: () => frames?.isBetween() ?? true,
  };
}

async function* throughZlib(
  input: Watched,
  codec: Gunzip | ZstdDecompress,
  { source, signal, toleratesZeros }: DecompressOptions & { readonly toleratesZeros: boolean },
): AsyncGenerator<Uint8Array> {
  let isOver = false;
  let inputFailure: unknown;
  const feeding = (async () => {
    try {
      for await (const chunk of input.chunks) {
        if (isOver) return;
        // The codec has seen the end of its data: what follows is only looked at.
        if (codec.destroyed) {
          if (toleratesZeros && input.zerosFrom() <= codec.bytesWritten) continue;
          return;
        }
        await written(codec, chunk);
      }
      codec.end();
    } catch (error) {
      inputFailure = error;
      codec.destroy(error as Error);
    }
  })();
  const abort = (): void => void codec.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    for await (const chunk of codec) yield chunk as Buffer;
    await feeding;
    if (inputFailure !== undefined) throw inputFailure;
    const end = codec.bytesWritten;
    // Decoders stop at the end of a member or frame when what follows is neither, and say nothing of it.
    if (end < input.taken() && !(toleratesZeros && input.zerosFrom() <= end))
      throw corrupt(source, end, 'something else follows the packed data');
    if (!input.isBetweenFrames()) throw truncated(source, input.taken());
  } catch (error) {
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if (inputFailure !== undefined) throw inputFailure;
    throw translate(error, source, codec.bytesWritten);
  } finally {
    isOver = true;
    signal.removeEventListener('abort', abort);
    codec.destroy();
  }
}

/** Resolves when the codec is done with the chunk's memory, or has ended. */
function written(codec: Gunzip | ZstdDecompress, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      codec.off('close', done);
      resolve();
    };
    codec.on('close', done);
    codec.write(chunk, done);
  });
}

function translate(error: unknown, source: string, offset: number): unknown {
  if (error instanceof CellarError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') return truncated(source, offset, error);
  return corrupt(source, offset, message, error);
}

export function truncated(source: string, offset: number, cause?: unknown): CellarError {
  const problem = 'the packed data ends too early';
  return new CellarError('E_ARCHIVE_TRUNCATED', { details: { source, offset, problem }, cause });
}

export function corrupt(source: string, offset: number, problem: string, cause?: unknown): CellarError {
  return new CellarError('E_ARCHIVE_CORRUPT', { details: { source, offset, problem }, cause });
}

/** `least` bytes, if there are as many, and what came with the last of them. A chunk that is enough by itself is not copied. */
export async function firstBytes(chunks: AsyncIterator<Uint8Array>, least: number): Promise<Uint8Array> {
  let head: Uint8Array = Buffer.alloc(0);
  while (head.length < least) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = head.length === 0 && next.value.length >= least ? next.value : Buffer.concat([head, next.value]);
  }
  return head;
}

export async function* prepend(
  head: Uint8Array,
  chunks: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let isDone = false;
  try {
    if (head.length > 0) yield head;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
    isDone = true;
  } finally {
    if (!isDone) await chunks.return?.();
  }
}
