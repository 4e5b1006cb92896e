/**
 * A hashing worker as the main thread sees it, with the batch being filled for it: messages between threads are dear,
 * so files are handed over by the dozen (protocol.ts has the form).
 */
import type { WorkerThread } from '../../sys/worker-thread.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { encodeMeta, opWidth, type Batch, type OpExtra } from './protocol.ts';
import type { Segment } from '../../sys/sparse.ts';

export interface Lane {
  readonly thread: WorkerThread;
  ops: number[];
  extras: OpExtra[];
  /** Those the batch reads from. */
  slots: Set<number>;
  /** Content in the batch being filled. */
  bytes: number;
  /** Bytes given and not answered, with a flat cost per file. */
  outstanding: number;
  /** Batches sent and not answered. */
  sent: number;
}

/** A worker has one batch to do and one that waits; while it has, what comes is gathered: a message costs 50 µs. */
const batchesAhead = 2;
/** What is handed over at once: enough to pay for the message, little enough to keep all workers busy. */
const batchFiles = 64;
const batchBytes = 1 << 20;
/** Creating a file costs about as much as hashing and writing this many bytes. */
const perFileCost = 32 << 10;

export function createLane(thread: WorkerThread): Lane {
  return { thread, ops: [], extras: [], slots: new Set(), bytes: 0, outstanding: 0, sent: 0 };
}

/** The lane with the least to do. */
export function idlest(lanes: readonly Lane[]): Lane {
  return lanes.reduce((best, lane) => (lane.outstanding < best.outstanding ? lane : best));
}

export function owe(lane: Lane, size: number): void {
  lane.outstanding += size + perFileCost;
  lane.bytes += size;
}

export function settleDebt(lane: Lane, size: number): void {
  lane.outstanding -= size + perFileCost;
}

export interface Operation {
  /** Of `op`. */
  readonly code: number;
  readonly id: number;
  readonly size: number;
  /** Up to two of slot, start, length; what they mean depends on the code. */
  readonly pieces?: readonly number[];
  readonly meta: InodeMeta;
  readonly extra?: OpExtra | undefined;
}

export function push(lane: Lane, { code, id, size, pieces = [], meta, extra }: Operation): void {
  lane.ops.push(code, id, size);
  for (let at = 0; at < 6; at++) lane.ops.push(pieces[at] ?? 0);
  encodeMeta(lane.ops, meta);
  lane.ops.push(extra === undefined ? 0 : lane.extras.push(extra));
}

export function isFull(lane: Lane): boolean {
  return lane.ops.length >= batchFiles * opWidth || lane.bytes >= batchBytes;
}

/** Hand the batch over, if there is one and the worker will soon have nothing to do; else it is offered again after an answer. */
export function offer(lane: Lane): void {
  if (lane.ops.length === 0 || lane.sent >= batchesAhead) return;
  lane.sent++;
  const ops = Float64Array.from(lane.ops);
  lane.thread.worker.postMessage({ ops, extras: lane.extras, slots: [...lane.slots] } satisfies Batch, [
    ops.buffer,
  ]);
  lane.ops = [];
  lane.extras = [];
  lane.slots = new Set();
  lane.bytes = 0;
}

/** What few operations need, or undefined: most files have neither. */
export function extraOf(meta: InodeMeta, sparse?: readonly Segment[]): OpExtra | undefined {
  if (sparse === undefined && meta.xattrs.length === 0) return undefined;
  return {
    ...(sparse === undefined ? {} : { sparse }),
    ...(meta.xattrs.length === 0 ? {} : { xattrs: meta.xattrs }),
  };
}

/** The parser may cut a small file's content anywhere; pieces that touch within a slot become one. */
export function joinAdjacent(pieces: readonly number[]): number[] {
  const joined: number[] = [];
  for (let at = 0; at < pieces.length; at += 3) {
    const [slot, start, length] = [pieces[at]!, pieces[at + 1]!, pieces[at + 2]!];
    const last = joined.length - 3;
    if (last >= 0 && joined[last] === slot && joined[last + 1]! + joined[last + 2]! === start)
      joined[last + 2]! += length;
    else joined.push(slot, start, length);
  }
  return joined;
}
