/**
 * The main thread's side of ingest: hands content to the hashing workers and collects digests. Callers get a
 * `Content` at once, whose digest is filled in when a worker answers; `drain` waits for all of them.
 */
import { statSync, unlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { digestPath, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import { errorRegistry } from '../../core/error-registry.ts';
import { toCellarError } from '../../sys/errno.ts';
import { noXattrs, type InodeMeta } from '../../tree/entry.ts';
import {
  encodeMeta,
  op,
  opWidth,
  slotBytes,
  slotCount,
  type BatchDone,
  type ExpectedFile,
  type OpExtra,
  type Segment,
  type WorkerError,
} from './protocol.ts';

/** Content on its way into the store. */
export interface Content {
  /** Set once a worker has hashed it. */
  digest?: Digest;
  size: number;
}

export interface IngestPool extends AsyncDisposable {
  /** A free slot to fill with the next bytes of a stream; waits while all are in use. */
  slot(): Promise<{ index: number; bytes: Buffer }>;
  /** No more files will be taken from this slot than those given; free it when they are done. */
  releaseSlot(index: number): void;
  /** A file whose content arrives in pieces of slots; `content` gets its digest. */
  file(content: Content, meta: InodeMeta, sparse?: readonly Segment[]): IncomingFile;
  /** A file whose (stored) content lies at `offset` of the open file `fd`, which stays open until `drain`. */
  range(
    content: Content,
    meta: InodeMeta,
    place: { fd: number; offset: number; sparse?: readonly Segment[] | undefined },
  ): void;
  /** Wait while too many files are queued. */
  room(): Promise<void>;
  /** A file to be read by a worker from `path`; waits while too many are queued. */
  path(path: string, meta: InodeMeta, size: number, expected: ExpectedFile): Promise<Content>;
  /** Hand over what is batched; call when a slot has been consumed. */
  flush(): void;
  /** Wait until everything given is hashed and staged. @throws what a worker met */
  drain(): Promise<void>;
  /** Remove what was staged of content that turned out to be in no tree. After `drain`, and nothing more can be given then. */
  discard(contents: Iterable<Digest>): void;
  readonly newObjects: number;
  readonly newBytes: number;
}

export interface IncomingFile {
  piece(slot: number, start: number, length: number): void;
  end(): void;
}

export interface PoolOptions {
  readonly objects: string;
  readonly staging: string;
  readonly privileged: boolean;
  /** Objects in the store that must not count as present. */
  readonly damaged: readonly Digest[];
  readonly storeIsEmpty: boolean;
  readonly workers?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Files given to workers and not answered, at most. */
const queuedFiles = 2048;
/** What is handed over at once: enough to pay for the message, little enough to keep all workers busy. */
const batchFiles = 64;
const batchBytes = 1 << 20;

export function createIngestPool(options: PoolOptions): IngestPool {
  const shared = new SharedArrayBuffer(slotBytes * slotCount);
  const slots = Buffer.from(shared);
  const free = Array.from({ length: slotCount }, (_, index) => index);
  const references = new Int32Array(slotCount);
  const pending = new Map<number, Content>();
  const waiters: (() => void)[] = [];
  let failure: unknown;
  let isOver = false;
  let nextId = 1;
  let newObjects = 0;
  let newBytes = 0;

  const lanes = Array.from({ length: options.workers ?? workerCount() }, () => startLane());

  function startLane(): Lane {
    const { objects, staging, privileged, damaged, storeIsEmpty } = options;
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { slots: shared, objects, staging, privileged, damaged, storeIsEmpty },
    });
    const lane: Lane = { worker, ops: [], extras: [], slots: new Set(), bytes: 0, outstanding: 0 };
    worker.on('message', (done: BatchDone) => settle(lane, done));
    worker.on('error', (error) => fail(error));
    worker.unref();
    return lane;
  }

  function settle(lane: Lane, done: BatchDone): void {
    if (done.error !== undefined) fail(reviveError(done.error, options.staging));
    for (const slot of done.slots) unreference(slot);
    done.ids.forEach((id, at) => {
      const content = pending.get(id)!;
      content.digest = done.digests.slice(at * 64, at * 64 + 64);
      lane.outstanding -= content.size + perFileCost;
      pending.delete(id);
      if (done.isNew[at] === true) {
        newObjects++;
        newBytes += done.sizes[at]!;
      }
    });
    wake();
  }

  function fail(error: unknown): void {
    failure ??= error;
    wake();
  }

  function wake(): void {
    for (const waiter of waiters.splice(0)) waiter();
  }

  async function until(condition: () => boolean): Promise<void> {
    for (;;) {
      if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
      if (failure !== undefined) throw failure;
      if (condition()) return;
      await waitForAnswer();
    }
  }

  /** Workers are unreferenced so that a failed import can end; while we wait for them they keep us alive. */
  function waitForAnswer(): Promise<void> {
    for (const { worker } of lanes) worker.ref();
    return new Promise<void>((resolve) => {
      const wakeUp = (): void => {
        options.signal?.removeEventListener('abort', wakeUp);
        for (const { worker } of lanes) worker.unref();
        resolve();
      };
      options.signal?.addEventListener('abort', wakeUp, { once: true });
      waiters.push(wakeUp);
    });
  }

  function unreference(slot: number): void {
    references[slot]!--;
    if (references[slot] === 0) free.push(slot);
  }

  /** The lane with the least to do. */
  function idlest(): Lane {
    return lanes.reduce((best, lane) => (lane.outstanding < best.outstanding ? lane : best));
  }

  function use(lane: Lane, slot: number): void {
    if (lane.slots.has(slot)) return;
    lane.slots.add(slot);
    references[slot]!++;
  }

  function begin(lane: Lane, content: Content): number {
    // Workers take what was discarded for present.
    if (isOver) throw new Error('content was given after some was discarded');
    const id = nextId++;
    pending.set(id, content);
    lane.outstanding += content.size + perFileCost;
    lane.bytes += content.size;
    return id;
  }

  function smallFile(content: Content, meta: InodeMeta): IncomingFile {
    const lane = idlest();
    const id = begin(lane, content);
    const { size } = content;
    const pieces: number[] = [];
    return {
      piece(slot, start, length) {
        pieces.push(slot, start, length);
        // A file that continues in the next slot is not in a batch yet: hold its first slot by hand.
        references[slot]!++;
      },
      end() {
        for (let at = 0; at < pieces.length; at += 3) use(lane, pieces[at]!);
        push(
          lane,
          op.whole,
          id,
          size,
          joinAdjacent(pieces),
          meta,
          meta.xattrs.length > 0 ? { xattrs: meta.xattrs } : undefined,
        );
        for (let at = 0; at < pieces.length; at += 3) references[pieces[at]!]!--;
      },
    };
  }

  function largeFile(
    content: Content,
    meta: InodeMeta,
    sparse: readonly Segment[] | undefined,
  ): IncomingFile {
    const lane = idlest();
    const { size } = content;
    const id = begin(lane, content);
    push(lane, op.begin, id, size, [], meta, sparse === undefined ? undefined : { sparse });
    return {
      piece(slot, start, length) {
        use(lane, slot);
        push(lane, op.piece, id, size, [slot, start, length], meta, undefined);
      },
      end() {
        push(lane, op.end, id, size, [], meta, meta.xattrs.length > 0 ? { xattrs: meta.xattrs } : undefined);
      },
    };
  }

  function flush(): void {
    for (const lane of lanes) {
      if (lane.ops.length === 0) continue;
      const ops = Float64Array.from(lane.ops);
      lane.worker.postMessage({ ops, extras: lane.extras, slots: [...lane.slots] }, [ops.buffer]);
      lane.ops = [];
      lane.extras = [];
      lane.slots = new Set();
      lane.bytes = 0;
    }
  }

  return {
    async slot() {
      if (free.length === 0 || failure !== undefined) await until(() => free.length > 0);
      if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
      const index = free.pop()!;
      references[index] = 1;
      return { index, bytes: slots.subarray(index * slotBytes, (index + 1) * slotBytes) };
    },
    releaseSlot: unreference,
    file(content, meta, sparse) {
      return content.size <= slotBytes && sparse === undefined
        ? smallFile(content, meta)
        : largeFile(content, meta, sparse);
    },
    range(content, meta, { fd, offset, sparse }) {
      const lane = idlest();
      const id = begin(lane, content);
      push(lane, op.range, id, content.size, [fd, offset, 0], meta, extraOf(meta, sparse));
      if (lane.ops.length >= batchFiles * opWidth || lane.bytes >= batchBytes) flush();
    },
    async room() {
      if (pending.size < queuedFiles) return;
      flush();
      await until(() => pending.size < queuedFiles / 2);
    },
    async path(path, meta, size, expected) {
      await this.room();
      const lane = idlest();
      const content: Content = { size };
      const id = begin(lane, content);
      push(lane, op.path, id, size, [], meta, {
        path,
        expected,
        xattrs: meta.xattrs.length > 0 ? meta.xattrs : noXattrs,
      });
      if (lane.ops.length >= batchFiles * opWidth) flush();
      return content;
    },
    flush,
    async drain() {
      flush();
      await until(() => pending.size === 0);
    },
    discard(contents) {
      isOver = true;
      for (const digest of new Set(contents)) {
        const file = `${options.staging}/${digestPath(digest)}`;
        const size = statSync(file, { throwIfNoEntry: false })?.size;
        if (size === undefined) continue;
        unlinkSync(file);
        newObjects--;
        newBytes -= size;
      }
    },
    get newObjects() {
      return newObjects;
    },
    get newBytes() {
      return newBytes;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(lanes.map(({ worker }) => worker.terminate()));
    },
  };
}

interface Lane {
  readonly worker: Worker;
  ops: number[];
  extras: OpExtra[];
  slots: Set<number>;
  /** Content in the batch being filled. */
  bytes: number;
  /** Bytes given and not answered, with a flat cost per file. */
  outstanding: number;
}

/** Creating a file costs about as much as hashing and writing this many bytes. */
const perFileCost = 32 << 10;

function push(
  lane: Lane,
  code: number,
  id: number,
  size: number,
  pieces: readonly number[],
  meta: InodeMeta,
  extra: OpExtra | undefined,
): void {
  lane.ops.push(code, id, size);
  for (let at = 0; at < 6; at++) lane.ops.push(pieces[at] ?? 0);
  encodeMeta(lane.ops, meta);
  lane.ops.push(extra === undefined ? 0 : lane.extras.push(extra));
}

function extraOf(meta: InodeMeta, sparse: readonly Segment[] | undefined): OpExtra | undefined {
  if (sparse === undefined && meta.xattrs.length === 0) return undefined;
  return {
    ...(sparse === undefined ? {} : { sparse }),
    ...(meta.xattrs.length === 0 ? {} : { xattrs: meta.xattrs }),
  };
}

/** The parser may cut a small file's content anywhere; pieces that touch within a slot become one. */
function joinAdjacent(pieces: readonly number[]): number[] {
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

/** The main thread reads and parses; hashing and writing saturate every core. */
function workerCount(): number {
  return Math.max(1, Math.min(4, availableParallelism()));
}

function reviveError(error: WorkerError, path: string): unknown {
  if (error.code in errorRegistry)
    return new CellarError(error.code as ErrorCode, { details: error.details ?? {} });
  const revived = Object.assign(new Error(error.message), {
    code: error.code,
    errno: error.errno,
    syscall: error.syscall,
    path: error.path,
  });
  return toCellarError(revived, { doing: 'storing objects', path });
}
