/**
 * Which parts of a file an archive leaves out. Decided by content alone, never by how the file happens to be
 * stored, so that the same tree gives the same archive everywhere: a hole is a run of zero blocks of 4 KiB,
 * aligned, of at least 1 MiB.
 *
 * Such a run covers a block that begins at a multiple of 512 KiB; so it is enough to look at those, and to read on
 * only where one is zero.
 */
import { readSync } from 'node:fs';
import { dataSegments, type Segment } from '../../sys/sparse.ts';

export const smallestHole = 1 << 20;
const blockBytes = 4096;
const sampleEvery = smallestHole / 2;

const zeros = Buffer.alloc(blockBytes);
const block = Buffer.allocUnsafeSlow(blockBytes);

/** The data segments, in order; `undefined` when there is no hole. What the file system knows to be a hole is not read. */
export function findHoles(fd: number, size: number): Segment[] | undefined {
  const file = { fd, size, extents: dataSegments(fd, size) };
  const segments: Segment[] = [];
  let dataFrom = 0;
  for (let at = 0; at < size; at = Math.max(at + sampleEvery, ceil(dataFrom, sampleEvery))) {
    if (!isZeroBlock(file, at)) continue;
    const start = zerosFrom(file, at, dataFrom);
    const end = zerosUpTo(file, at);
    if (end - start >= smallestHole) {
      if (start > dataFrom) segments.push({ offset: dataFrom, length: start - dataFrom });
      dataFrom = end;
    }
  }
  if (dataFrom === 0) return undefined;
  if (dataFrom < size) segments.push({ offset: dataFrom, length: size - dataFrom });
  return segments.length === 1 && segments[0]!.length === size ? undefined : segments;
}

interface SparseFile {
  readonly fd: number;
  readonly size: number;
  /** Where there may be data; in order. */
  readonly extents: readonly Segment[];
}

/** First block of the zero run that `at` lies in, not before `least`. */
function zerosFrom(file: SparseFile, at: number, least: number): number {
  const floor = ceil(least, blockBytes);
  let start = at;
  while (start - blockBytes >= floor && isZeroBlock(file, start - blockBytes)) start -= blockBytes;
  return start;
}

/** End of the zero run that `at` lies in; a last, short block counts when it is zero. */
function zerosUpTo(file: SparseFile, at: number): number {
  let end = at;
  while (end < file.size) {
    const known = knownHoleEnd(file, end);
    if (known > end) end = known;
    else if (isZeroBlock(file, end)) end += blockBytes;
    else break;
  }
  return Math.min(end, file.size);
}

function isZeroBlock(file: SparseFile, at: number): boolean {
  if (knownHoleEnd(file, at) > at) return true;
  const length = Math.min(blockBytes, file.size - at);
  const count = readSync(file.fd, block, 0, length, at);
  return block.subarray(0, count).equals(zeros.subarray(0, count));
}

/** Where the hole that the file system tells of around `at` ends, in whole blocks; `at` itself when there is none. */
function knownHoleEnd({ extents, size }: SparseFile, at: number): number {
  // The first that ends behind `at`, by halving: a fragmented file has very many.
  let [low, high] = [0, extents.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const { offset, length } = extents[middle]!;
    if (offset + length > at) high = middle;
    else low = middle + 1;
  }
  const next = extents[low];
  if (next === undefined) return size;
  return next.offset <= at ? at : Math.max(at, Math.floor(next.offset / blockBytes) * blockBytes);
}

function ceil(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
