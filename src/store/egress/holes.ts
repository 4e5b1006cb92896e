/**
 * Which parts of a file an archive leaves out. Decided by content alone, never by how the file happens to be
 * stored, so that the same tree gives the same archive everywhere: a hole is a run of zero blocks of 4 KiB,
 * aligned, of at least 1 MiB.
 */
import { readSync } from 'node:fs';
import { dataExtents } from '../../sys/sparse.ts';
import type { Segment } from './protocol.ts';

const block = 4096;
export const smallestHole = 1 << 20;

const zeros = Buffer.alloc(block);
const buffer = Buffer.allocUnsafeSlow(1 << 20);

/** The data segments, in order; `undefined` when there is no hole. What the file system knows to be a hole is not read. */
export function findHoles(fd: number, size: number): Segment[] | undefined {
  const data: Segment[] = [];
  for (const extent of dataExtents(fd, size)) {
    const start = Math.floor(extent.offset / block) * block;
    const end = extent.offset + extent.length;
    for (let at = Math.max(start, endOf(data)); at < end; at += buffer.length) {
      const count = readSync(fd, buffer, 0, Math.min(buffer.length, end - at), at);
      for (let inside = 0; inside < count; inside += block) {
        const piece = buffer.subarray(inside, Math.min(inside + block, count));
        if (!isZero(piece)) append(data, at + inside, Math.min(block, size - at - inside));
      }
      if (count === 0) break;
    }
  }
  const joined = joinOver(data, size);
  return joined.length === 1 && joined[0]!.offset === 0 && joined[0]!.length === size ? undefined : joined;
}

function isZero(piece: Buffer): boolean {
  return piece.equals(piece.length === block ? zeros : zeros.subarray(0, piece.length));
}

function append(data: Segment[], offset: number, length: number): void {
  if (endOf(data) === offset && data.length > 0)
    data[data.length - 1] = { offset: data.at(-1)!.offset, length: data.at(-1)!.length + length };
  else data.push({ offset, length });
}

/** Runs of zeros that are too short to be a hole belong to the data around them, also at both ends. */
function joinOver(data: readonly Segment[], size: number): Segment[] {
  const joined: { offset: number; length: number }[] = [];
  for (const { offset, length } of data) {
    const end = endOf(joined);
    const last = joined.at(-1);
    if (offset - end >= smallestHole) joined.push({ offset, length });
    else if (last === undefined) joined.push({ offset: 0, length: offset + length });
    else last.length = offset + length - last.offset;
  }
  const last = joined.at(-1);
  if (last === undefined) return size < smallestHole ? [{ offset: 0, length: size }] : [];
  if (size - endOf(joined) < smallestHole) last.length = size - last.offset;
  return joined;
}

function endOf(segments: readonly Segment[]): number {
  const last = segments.at(-1);
  return last === undefined ? 0 : last.offset + last.length;
}
