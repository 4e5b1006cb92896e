/**
 * What the main thread and the hashing workers say to each other. Content travels in slots of one shared buffer
 * and work in flat arrays of numbers, because 30,000 small objects cloned one by one would cost more than
 * hashing them.
 */
import type { Digest } from '../../core/digest.ts';
import type { Segment } from '../../sys/sparse.ts';
import type { InodeMeta, Xattrs } from '../../tree/entry.ts';
import type { WorkerError } from './worker-error.ts';

/** Bytes of one slot, and how many there are: the most of an archive that is in memory at a time. */
export const slotBytes = 2 << 20;
export const slotCount = 16;

export interface WorkerSetup {
  readonly slots: SharedArrayBuffer;
  /** `<store>/objects` and the transaction's own `objects`, absolute. */
  readonly objects: string;
  readonly staging: string;
  readonly privileged: boolean;
  readonly damaged: readonly string[];
  /** Whether there was anything in the store when this began. */
  readonly storeIsEmpty: boolean;
}

export const op = {
  /** A small file, complete in one or two pieces. */
  whole: 0,
  /** A large or sparse file: begin, any number of pieces in order, end. All go to one worker. */
  begin: 1,
  piece: 2,
  end: 3,
  /** A file to be read from a path. */
  path: 4,
  /** Content that lies in an open file; `slot` is its descriptor (shared by all threads), `start` the offset. */
  range: 5,
} as const;

/** Numbers per operation: code, id, size, slot, start, length, slot2, start2, length2, mode, uid, gid, mtime, nsec, extra. */
export const opWidth = 15;

/** What few operations need; `extra` is its index + 1, or 0. */
export interface OpExtra {
  readonly xattrs?: Xattrs;
  /** Data segments of a sparse file, in order. */
  readonly sparse?: readonly Segment[];
  readonly path?: string;
  /** Of a path: what the scan saw, to notice a change. */
  readonly expected?: ExpectedFile;
}

export interface ExpectedFile {
  readonly ino: string;
  readonly mtime: number;
  readonly mtimeNsec: number;
}

export interface Batch {
  readonly ops: Float64Array;
  readonly extras: readonly OpExtra[];
  /** Slots this batch reads from; free once it is answered. */
  readonly slots: readonly number[];
}

export interface BatchDone {
  readonly slots: readonly number[];
  /** Ids of files completed, with their digests, and whether each was new to the store. */
  readonly ids: readonly number[];
  readonly digests: readonly Digest[];
  readonly isNew: readonly boolean[];
  readonly sizes: readonly number[];
  readonly error?: WorkerError;
}

export function encodeMeta(ops: number[], meta: InodeMeta): void {
  ops.push(meta.mode, meta.uid, meta.gid, meta.mtime, meta.mtimeNsec);
}
