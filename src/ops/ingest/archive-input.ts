/** Opening an archive: a file or a stream, packed or not, as filled slots; hashed as it is when a digest is wanted. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { IngestPool } from '../../store/ingest/pool.ts';
import { isErrno, toCellarError } from '../../sys/errno.ts';
import { detectCompression } from '../../tree/compress/detect.ts';

export interface ArchiveInput extends Disposable {
  /** Size of the source in bytes where it is known. */
  readonly total: { total?: number };
  /** Bytes of the source read so far. */
  read(): number;
  /** Of the source's bytes, once all are read. */
  digest(): Digest;
  slots(ingest: IngestPool): AsyncIterable<FilledSlot>;
  /** Set when it is a file that is not packed, and need not be read from end to end. */
  readonly plain: PlainFile | undefined;
}

export interface PlainFile {
  readonly fd: number;
  readonly size: number;
  /** As much of `target` as there is from `offset` on. */
  readAt(offset: number, target: Buffer): Buffer;
}

export interface FilledSlot {
  readonly index: number;
  readonly bytes: Buffer;
}

const readBytes = 1 << 20;

/** @throws E_SOURCE_NOT_FOUND, E_NOT_ALLOWED, E_IO */
export function openArchive(options: {
  /** A path, unless `file` or `stream` makes it a name for messages. */
  source: string;
  file?: string | undefined;
  stream?: AsyncIterable<Uint8Array> | undefined;
  sha256?: Digest | undefined;
  signal: AbortSignal;
}): ArchiveInput {
  const { source, stream, signal } = options;
  const hasher = options.sha256 === undefined ? undefined : sha256Stream();
  const file = stream === undefined ? openSource(options.file ?? source) : undefined;
  const isPlain = file?.seekable === true && detectCompression(peek(file.fd, source)) === 'none';
  let read = 0;
  const took = <T extends Uint8Array>(bytes: T): T => {
    read += bytes.length;
    hasher?.update(bytes);
    return bytes;
  };

  async function* slots(ingest: IngestPool): AsyncGenerator<FilledSlot> {
    if (file !== undefined && isPlain) {
      yield* fileSlots(ingest, (target) => took(readSome(file.fd, target, source)));
    } else {
      const packed = tap(stream ?? readChunks(file!.fd, source), took);
      yield* packedSlots(ingest, packed, { source, signal });
      // What follows the archive in its stream still belongs to the source's digest.
      if (hasher !== undefined) for await (const rest of packed) void rest;
    }
  }

  return {
    total: file?.size === undefined ? {} : { total: file.size },
    read: () => read,
    digest: () => hasher!.digest('hex'),
    slots,
    plain:
      file?.size === undefined || !isPlain || hasher !== undefined
        ? undefined
        : {
            fd: file.fd,
            size: file.size,
            readAt: (offset, target) => readSome(file.fd, target, source, offset),
          },
    [Symbol.dispose]() {
      if (file !== undefined) closeSync(file.fd);
    },
  };
}

function openSource(source: string): { fd: number; seekable: boolean; size?: number } {
  try {
    const fd = openSync(source, 'r');
    const stat = fstatSync(fd);
    return stat.isFile() ? { fd, seekable: true, size: stat.size } : { fd, seekable: false };
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source } });
    throw toCellarError(error, { doing: 'reading', path: source });
  }
}

/** A plain file: read straight into the slot it is parsed in. */
async function* fileSlots(ingest: IngestPool, fill: (target: Buffer) => Buffer): AsyncGenerator<FilledSlot> {
  for (;;) {
    const { index, bytes } = await ingest.slot();
    const filled = fill(bytes);
    if (filled.length === 0) {
      ingest.releaseSlot(index);
      return;
    }
    yield { index, bytes: filled };
  }
}

/** Anything else: unpacked into slots. */
async function* packedSlots(
  ingest: IngestPool,
  packed: AsyncGenerator<Uint8Array>,
  options: { source: string; signal: AbortSignal },
): AsyncGenerator<FilledSlot> {
  const { decompressInto } = await import('../../tree/compress/decompress-into.ts');
  yield* decompressInto(packed, () => ingest.slot(), options);
}

async function* tap(
  chunks: AsyncIterable<Uint8Array>,
  took: (chunk: Uint8Array) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of chunks) yield took(chunk);
}

async function* readChunks(fd: number, source: string): AsyncGenerator<Uint8Array> {
  const memory = Buffer.allocUnsafeSlow(readBytes);
  for (;;) {
    const chunk = readSome(fd, memory, source);
    if (chunk.length === 0) return;
    yield chunk;
  }
}

/** From the present position, or from `offset`. */
function readSome(fd: number, target: Buffer, source: string, offset: number | null = null): Buffer {
  try {
    return target.subarray(0, readSync(fd, target, 0, target.length, offset));
  } catch (error) {
    throw toCellarError(error, { doing: 'reading', path: source });
  }
}

function peek(fd: number, source: string): Buffer {
  return readSome(fd, Buffer.alloc(512), source, 0);
}
