/**
 * Packing a stream on all cores, with the same result on any number of them: gzip as independent blocks of one
 * member that share a dictionary (as pigz does), zstd as frames, xz through the program with a fixed block size.
 */
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw, zstdCompress } from 'node:zlib';
import { CellarError } from '../../core/errors.ts';
import { filterThrough } from './programs.ts';

export type PackedFormat = 'gzip' | 'xz' | 'zstd';

export interface CompressOptions {
  readonly level?: number | undefined;
  readonly signal: AbortSignal;
}

const levels = {
  gzip: { least: 1, most: 9, usual: 6 },
  xz: { least: 0, most: 9, usual: 6 },
  zstd: { least: 1, most: 19, usual: 3 },
} as const;

const gzipBlock = 256 << 10;
const gzipWindow = 32 << 10;
const zstdFrame = 8 << 20;
/** Blocks being packed at once; libuv's pool has four threads. */
const inFlight = 4;

/** Chunks of `input` need only be valid until the next is asked for. @throws E_USAGE for a level out of range, E_CANCELLED */
export function compress(
  input: AsyncIterable<Uint8Array>,
  format: PackedFormat,
  { level, signal }: CompressOptions,
): AsyncGenerator<Uint8Array> {
  const chosen = levelOf(format, level);
  if (format === 'gzip') return gzip(input, chosen, signal);
  if (format === 'zstd') return zstd(input, chosen, signal);
  const args = ['-T2', `-${chosen}`, '--block-size=24MiB', '-c'];
  return filterThrough(input, {
    program: 'xz',
    args,
    package: 'xz-utils',
    doing: 'packing',
    source: 'the archive',
    signal,
  });
}

/** @throws E_USAGE for a level out of range */
export function levelOf(format: PackedFormat, level: number | undefined): number {
  const { least, most, usual } = levels[format];
  const chosen = level ?? usual;
  if (!Number.isInteger(chosen) || chosen < least || chosen > most) {
    throw new CellarError('E_USAGE', {
      details: { problem: `${format} has levels ${least} to ${most}, not ${chosen}` },
    });
  }
  return chosen;
}

const deflate = promisify(deflateRaw) as (data: Uint8Array, options: object) => Promise<Buffer>;
const zstdFrameOf = promisify(zstdCompress) as (data: Uint8Array, options: object) => Promise<Buffer>;

/** RFC 1952, without name or time; every block but the last ends on a byte border (Z_SYNC_FLUSH). */
async function* gzip(
  input: AsyncIterable<Uint8Array>,
  level: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
  let sum = 0;
  let length = 0;
  let before: Buffer | undefined;
  const pack = (block: Buffer, isLast: boolean): Promise<Buffer> => {
    const dictionary = before?.subarray(-gzipWindow);
    before = block;
    sum = crc32(block, sum);
    length += block.length;
    const finishFlush = isLast ? constants.Z_FINISH : constants.Z_SYNC_FLUSH;
    return deflate(block, {
      level,
      memLevel: 8,
      chunkSize: gzipBlock,
      finishFlush,
      ...(dictionary === undefined ? {} : { dictionary }),
    });
  };
  yield* inOrder(blocks(input, gzipBlock), pack, signal);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(sum, 0);
  trailer.writeUInt32LE(length % 2 ** 32, 4);
  yield trailer;
}

async function* zstd(
  input: AsyncIterable<Uint8Array>,
  level: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const params = { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 };
  yield* inOrder(
    blocks(input, zstdFrame),
    (block) => zstdFrameOf(block, { params, chunkSize: 1 << 20 }),
    signal,
  );
}

/** Packs blocks side by side and gives them out in their order. */
async function* inOrder(
  input: AsyncIterable<{ block: Buffer; isLast: boolean }>,
  pack: (block: Buffer, isLast: boolean) => Promise<Buffer>,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const flying: Promise<Buffer>[] = [];
  for await (const { block, isLast } of input) {
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    const packed = pack(block, isLast);
    packed.catch(() => undefined); // seen when its turn comes
    flying.push(packed);
    if (flying.length >= inFlight) yield await flying.shift()!;
  }
  while (flying.length > 0) yield await flying.shift()!;
}

/** Copies of the input, all of `size` bytes but the last, which may be empty: one block is always the last. */
async function* blocks(
  input: AsyncIterable<Uint8Array>,
  size: number,
): AsyncGenerator<{ block: Buffer; isLast: boolean }> {
  let block = Buffer.allocUnsafeSlow(size);
  let used = 0;
  for await (const chunk of input) {
    for (let taken = 0; taken < chunk.length;) {
      if (used === size) {
        yield { block, isLast: false };
        block = Buffer.allocUnsafeSlow(size);
        used = 0;
      }
      const part = chunk.subarray(taken, taken + size - used);
      block.set(part, used);
      used += part.length;
      taken += part.length;
    }
  }
  yield { block: block.subarray(0, used), isLast: true };
}
