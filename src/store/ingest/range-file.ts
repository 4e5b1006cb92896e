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
import { largeBytes, stepBytes } from './blocks.ts';
import { beginLargeFile, hashZeros, stageLarge } from './large-file.ts';
import type { Segment } from '../../sys/sparse.ts';
import type { Stager, Stored } from './stager.ts';

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
/** Touched only as far as content reaches. */
const buffer = Buffer.allocUnsafeSlow(keptBytes);

/** The file may be closed once this resolves. @throws `changed` */
export async function storeRange(stager: Stager, range: FileRange, meta: InodeMeta): Promise<Stored> {
  const [first] = range.pieces;
  const isDense = range.pieces.length === 1 && first!.length === range.size;
  if (isDense && range.size <= smallBytes) {
    const content = readPiece(range, first!.from, buffer.subarray(0, range.size));
    const digest = hash('sha256', content, 'hex');
    if (range.size >= largeBytes) return await stageLarge(stager, digest, content, meta);
    return { digest, isNew: stager.stage(digest, content, meta) };
  }
  if (!stager.expectPresent) return await copy(stager, range, meta);
  if (isDense && range.size <= keptBytes) {
    const { digest, content } = hashKept(range, first!);
    stager.expectPresent = stager.has(digest, range.size);
    return stager.expectPresent ? { digest, isNew: false } : await stageLarge(stager, digest, content, meta);
  }
  const digest = hashRange(range);
  stager.expectPresent = stager.has(digest, range.size);
  if (stager.expectPresent) return { digest, isNew: false };
  const copied = await copy(stager, range, meta);
  if (copied.digest !== digest) throw range.changed();
  return copied;
}

/** The content is valid until the next read. */
function hashKept(range: FileRange, piece: Piece): { digest: Digest; content: Buffer } {
  const hasher = sha256Stream();
  for (const { from, count, done } of steps(piece))
    hasher.update(readPiece(range, from, buffer.subarray(done, done + count)));
  return { digest: hasher.digest('hex'), content: buffer.subarray(0, piece.length) };
}

function hashRange(range: FileRange): Digest {
  const hasher = sha256Stream();
  let position = 0;
  for (const piece of range.pieces) {
    hashZeros(hasher, piece.offset - position);
    for (const { from, count } of steps(piece))
      hasher.update(readPiece(range, from, buffer.subarray(0, count)));
    position = piece.offset + piece.length;
  }
  hashZeros(hasher, range.size - position);
  return hasher.digest('hex');
}

async function copy(stager: Stager, range: FileRange, meta: InodeMeta): Promise<Stored> {
  const file = beginLargeFile(stager, { size: range.size, sparse: range.pieces });
  try {
    for (const piece of range.pieces)
      await file.write(piece.length, (target, done) => {
        if (isEnding()) throw new CellarError('E_CANCELLED');
        readPiece(range, piece.from + done, target);
      });
  } catch (error) {
    await file.abandon();
    throw error;
  }
  return file.finish(meta);
}

function* steps(piece: Piece): Generator<{ from: number; count: number; done: number }> {
  for (let done = 0; done < piece.length; done += stepBytes) {
    if (isEnding()) throw new CellarError('E_CANCELLED');
    yield { from: piece.from + done, count: Math.min(stepBytes, piece.length - done), done };
  }
}

/** What lies at `from` fills `target`, which is returned. */
function readPiece({ fd, changed }: FileRange, from: number, target: Buffer): Buffer {
  for (let done = 0; done < target.length;) {
    const count = readSync(fd, target, done, target.length - done, from + done);
    if (count === 0) throw changed();
    done += count;
  }
  return target;
}
