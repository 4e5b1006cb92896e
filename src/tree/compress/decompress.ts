/**
 * Unpacking a stream, whatever it is packed with. gzip and zstd run in libuv's thread pool beside the main thread;
 * xz, bzip2 and lz4 in child processes. A stream that ends too early is always an error, never a short result.
 */
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from 'node:zlib';
import { CellarError } from '../../core/errors.ts';
import { detectCompression } from './detect.ts';
import { filterThrough } from './programs.ts';

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
 * @throws E_ARCHIVE_TRUNCATED, E_ARCHIVE_CORRUPT, E_DECOMPRESSOR, E_CANCELLED, and what reading the input throws
 */
export async function* decompress(
  input: AsyncIterable<Uint8Array>,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  const chunks = input[Symbol.asyncIterator]();
  const head = await firstBytes(chunks);
  const whole = prepend(head, chunks);
  const compression = detectCompression(head);
  switch (compression) {
    case 'none':
      return yield* whole;
    case 'gzip':
      return yield* throughZlib(whole, createGunzip({ chunkSize }), options);
    case 'zstd':
      // Windows of up to 2 GiB, as `zstd --long=31` makes them.
      return yield* throughZlib(
        whole,
        createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: 31 } }),
        options,
      );
    default:
      return yield* filterThrough(whole, { ...filters[compression], ...options });
  }
}

async function* throughZlib(
  input: AsyncIterable<Uint8Array>,
  codec: Gunzip | ZstdDecompress,
  { source, signal }: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  let given = 0;
  let inputFailure: unknown;
  const feeding = (async () => {
    try {
      for await (const chunk of input) {
        if (codec.destroyed || codec.writableEnded) return;
        given += chunk.length;
        if (!codec.write(chunk)) await drained(codec);
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
    // zstd stops at a frame's end when what follows is no frame, and says nothing of it.
    if (codec.bytesWritten < given)
      throw corrupt(source, codec.bytesWritten, 'something else follows the packed data');
  } catch (error) {
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if (inputFailure !== undefined) throw inputFailure;
    throw translate(error, source, codec.bytesWritten);
  } finally {
    signal.removeEventListener('abort', abort);
    codec.destroy();
  }
}

function drained(codec: Gunzip | ZstdDecompress): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      codec.off('drain', done).off('close', done).off('error', done);
      resolve();
    };
    codec.on('drain', done).on('close', done).on('error', done);
  });
}

function translate(error: unknown, source: string, offset: number): unknown {
  if (error instanceof CellarError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') {
    return new CellarError('E_ARCHIVE_TRUNCATED', {
      details: { source, offset, problem: 'the packed data ends too early' },
      cause: error,
    });
  }
  return corrupt(source, offset, message, error);
}

function corrupt(source: string, offset: number, problem: string, cause?: unknown): CellarError {
  return new CellarError('E_ARCHIVE_CORRUPT', { details: { source, offset, problem }, cause });
}

async function firstBytes(chunks: AsyncIterator<Uint8Array>): Promise<Buffer> {
  let head = Buffer.alloc(0);
  while (head.length < 6) {
    const next = await chunks.next();
    if (next.done === true) break;
    head = Buffer.concat([head, next.value]);
  }
  return head;
}

async function* prepend(head: Buffer, chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
}
