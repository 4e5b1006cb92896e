/**
 * Lays parts of a stream over slots, one slot at a time, each filled to its end: writing a file anywhere but at
 * multiples of large powers of two costs the kernel twice as much. All of a slot is one worker's. A small file that
 * lies in two slots is read twice, by both; a large one stays with the worker that began it, which hashes it through.
 */
import type { Digest } from '../../core/digest.ts';
import { flag } from './protocol.ts';
import type { Segment } from '../../sys/sparse.ts';

/** Reading so much a second time costs less than waiting for another worker. */
export const smallFile = 256 << 10;

/** Bytes given as they are, or an object's content (only its data segments, when it is to be written sparsely). */
export type StreamPart = Uint8Array | StreamedObject;

export interface StreamedObject {
  readonly object: Digest;
  readonly size: number;
  readonly segments?: readonly Segment[] | undefined;
}

export interface WorkerReads {
  readonly worker: number;
  readonly reads: Float64Array;
  readonly digests: string[];
}

export interface Layout {
  /** In `worker`, unless a file goes on that another has begun. */
  begin(slot: number, worker: number): void;
  /** False, and nothing done, for a part that has to be placed in pieces. Most parts are small: this is the quick way. */
  placeWhole(part: StreamPart): boolean;
  /** Yields each time the slot is done and the next one must begin. */
  place(part: StreamPart): Generator<void>;
  /** Nothing when all of the slot was given as bytes. */
  take(): WorkerReads | undefined;
  used(): number;
}

export function createLayout(memory: Buffer, slotBytes: number): Layout {
  let base = 0;
  let used = 0;
  let file = 0;
  let turn = 0;
  /** In the middle of a file. */
  let isBound = false;
  let reads: number[] = [];
  let digests: string[] = [];

  function* placeBytes(bytes: Uint8Array): Generator<void> {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + slotBytes - used);
      memory.set(part, base + used);
      used += part.length;
      done += part.length;
      if (used === slotBytes) yield;
    }
  }

  function* placeObject({ object, size, segments }: StreamedObject): Generator<void> {
    const id = file++;
    const pieces = segments ?? [{ offset: 0, length: size }];
    const last = pieces.findLastIndex(({ length }) => length > 0);
    if (last < 0) {
      // Nothing but a hole: nothing is placed, and all of it is hashed all the same.
      reads.push(id, flag.first | flag.last, base + used, 0, 0, size);
      digests.push(object);
    }
    const isSmall = segments === undefined && size <= smallFile;
    for (const [index, { offset, length }] of pieces.entries()) {
      for (let done = 0; done < length;) {
        const count = Math.min(length - done, slotBytes - used);
        const isLast = index === last && done + count === length;
        const flags =
          isSmall && count < size ? flag.part : (isBound ? 0 : flag.first) | (isLast ? flag.last : 0);
        reads.push(id, flags, base + used, offset + done, count, size);
        digests.push(object);
        isBound = !isSmall && !isLast;
        used += count;
        done += count;
        if (used === slotBytes) yield;
      }
    }
  }

  const placeWhole = (part: StreamPart): boolean => {
    const isBytes = part instanceof Uint8Array;
    const length = isBytes ? part.length : part.size;
    if (length === 0 || used + length >= slotBytes) return false;
    if (isBytes) memory.set(part, base + used);
    else {
      if (part.segments !== undefined) return false;
      reads.push(file++, flag.first | flag.last, base + used, 0, length, length);
      digests.push(part.object);
    }
    used += length;
    return true;
  };

  return {
    begin(slot, worker) {
      base = slot * slotBytes;
      used = 0;
      if (!isBound) turn = worker;
      reads = [];
      digests = [];
    },
    placeWhole,
    place: (part) => (part instanceof Uint8Array ? placeBytes(part) : placeObject(part)),
    take: () => (reads.length === 0 ? undefined : { worker: turn, reads: Float64Array.from(reads), digests }),
    used: () => used,
  };
}
