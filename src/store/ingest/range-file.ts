/**
 * Content that lies in an open file: an archive's member, or a whole file of a directory. Small content is one read;
 * larger content is hashed first and kept meanwhile, in case it is new; what is too large for that is read a second
 * time if so. Where the last ones were all new, they are written while they are hashed.
 */
import { readSync } from 'node:fs';
import { hash } from 'node:crypto';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { isEnding } from '../../sys/worker-thread.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { beginLargeFile, hashZeros } from './large-file.ts';
import type { Segment } from './protocol.ts';
import type { Stager } from './stager.ts';

/** `length` bytes that belong at `offset` of the content and lie at `from` in the file. */
export interface Piece extends Segment {
  readonly from: number;
}

export interface FileRange {
  readonly fd: number;
  readonly size: number;
  /** In order; what they leave out are holes. */
  readonly pieces: readonly Piece[];
  /** What to throw when the file ends too early, or gives other bytes the second time. */
  readonly changed: () => Error;
}

/** Content up to this is one read and one hash. */
const smallBytes = 1 << 20;
/** Content up to this is kept while it is hashed. */
const keptBytes = 16 << 20;
/** Larger content goes in steps that stay in the processor's cache between reading, hashing and writing. */
const stepBytes = 256 << 10;
/** Touched only as far as content reaches. */
const buffer = Buffer.allocUnsafeSlow(keptBytes);

export function storeRange(
  stager: Stager,
  range: FileRange,
  meta: InodeMeta,
): { digest: Digest; isNew: boolean } {
  const [first] = range.pieces;
  const isDense = range.pieces.length === 1 && first!.length === range.size;
  if (isDense && range.size <= smallBytes) {
    const content = readPiece(range, first!.from, range.size);
    const digest = hash('sha256', content, 'hex');
    return { digest, isNew: stager.stage(digest, content, meta) };
  }
  if (!stager.expectPresent) return copy(stager, range, meta);
  if (isDense && range.size <= keptBytes) {
    const { digest, content } = hashKept(range, first!);
    stager.expectPresent = stager.has(digest, range.size);
    return { digest, isNew: !stager.expectPresent && stager.stage(digest, content, meta) };
  }
  const digest = hashRange(range);
  stager.expectPresent = stager.has(digest, range.size);
  if (stager.expectPresent) return { digest, isNew: false };
  const copied = copy(stager, range, meta);
  if (copied.digest !== digest) throw range.changed();
  return copied;
}

/** The content is valid until the next read. */
function hashKept(range: FileRange, piece: Piece): { digest: Digest; content: Buffer } {
  const hasher = sha256Stream();
  for (let done = 0; done < piece.length; done += stepBytes) {
    if (isEnding()) throw new CellarError('E_CANCELLED');
    hasher.update(readPiece(range, piece.from + done, Math.min(stepBytes, piece.length - done), done));
  }
  return { digest: hasher.digest('hex'), content: buffer.subarray(0, piece.length) };
}

function hashRange(range: FileRange): Digest {
  const hasher = sha256Stream();
  let position = 0;
  for (const piece of range.pieces) {
    hashZeros(hasher, piece.offset - position);
    for (const part of parts(range, piece)) hasher.update(part);
    position = piece.offset + piece.length;
  }
  hashZeros(hasher, range.size - position);
  return hasher.digest('hex');
}

function copy(stager: Stager, range: FileRange, meta: InodeMeta): { digest: Digest; isNew: boolean } {
  using file = beginLargeFile(stager, { size: range.size, sparse: range.pieces });
  for (const piece of range.pieces) for (const part of parts(range, piece)) file.write(part);
  return file.finish(meta);
}

function* parts(range: FileRange, piece: Piece): Generator<Buffer> {
  for (let done = 0; done < piece.length; done += stepBytes) {
    if (isEnding()) throw new CellarError('E_CANCELLED');
    yield readPiece(range, piece.from + done, Math.min(stepBytes, piece.length - done));
  }
}

/** To `at` of the buffer; valid until the next read there. */
function readPiece({ fd, changed }: FileRange, from: number, length: number, at = 0): Buffer {
  for (let done = 0; done < length;) {
    const count = readSync(fd, buffer, at + done, length - done, from + done);
    if (count === 0) throw changed();
    done += count;
  }
  return buffer.subarray(at, at + length);
}
