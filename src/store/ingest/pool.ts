/**
 * The main thread's side of ingest: hands content to the hashing workers and collects digests. Callers get a
 * `Content` at once, whose digest is filled in when a worker answers; `drain` waits for all of them.
 */
import { statSync, unlinkSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { digestPath, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { endWorker, startWorker } from '../../sys/worker-thread.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import {
  createLane,
  extraOf,
  idlest,
  isFull,
  joinAdjacent,
  offer,
  owe,
  push,
  settleDebt,
  type Lane,
} from './lane.ts';
import { op, slotBytes, slotCount, type BatchDone, type ExpectedFile, type WorkerSetup } from './protocol.ts';
import type { Segment } from '../../sys/sparse.ts';
import { reviveError } from './worker-error.ts';

/** Content on its way into the store. */
export interface Content {
  /** Set once a worker has hashed it. Never left out: a property added later takes a million objects 40 bytes each. */
  digest: Digest | undefined;
  size: number;
}

export interface IngestPool extends AsyncDisposable {
  /** Content will come: its workers may start while it is looked for. Without content there are none. */
  prepare(): void;
  /** A free slot to fill with the next bytes of a stream; waits while all are in use. */
  slot(): Promise<{ index: number; bytes: Buffer<SharedArrayBuffer> }>;
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
  /** As `drain`, and the workers go, with the memory they hold: nothing more can be given then. @throws what a worker met */
  finish(): Promise<void>;
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
  /** Told how many bytes may have been staged so far, never too few but for files being written; what it throws ends it. */
  readonly onStaged?: ((bytes: number) => void) | undefined;
}

/** What a file takes on a disk at least comes in such pieces. */
const diskBlock = 4096;

/** Files given to workers and not answered, at most. */
const queuedFiles = 2048;

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
  let staged = 0;

  let lanes: readonly Lane[] = [];

  function started(): readonly Lane[] {
    if (lanes.length === 0)
      lanes = Array.from({ length: options.workers ?? workerCount() }, () => startLane());
    return lanes;
  }

  function startLane(): Lane {
    const { objects, staging, privileged, damaged, storeIsEmpty } = options;
    const setup: WorkerSetup = { slots: shared, objects, staging, privileged, damaged, storeIsEmpty };
    const thread = startWorker(new URL('./worker.ts', import.meta.url), setup);
    const lane = createLane(thread);
    const { worker } = thread;
    worker.on('message', (done: BatchDone) => settle(lane, done));
    worker.on('error', (error) => fail(error));
    worker.unref();
    return lane;
  }

  function settle(lane: Lane, done: BatchDone): void {
    if (done.error !== undefined) fail(reviveError(done.error, options.staging));
    lane.sent--;
    offer(lane);
    for (const slot of done.slots) unreference(slot);
    done.ids.forEach((id, at) => {
      const content = pending.get(id)!;
      content.digest = done.digests[at]!;
      settleDebt(lane, content.size);
      pending.delete(id);
      if (done.isNew[at] === true) {
        newObjects++;
        newBytes += done.sizes[at]!;
        stage(Math.ceil(done.sizes[at]! / diskBlock) * diskBlock);
      }
    });
    wake();
  }

  function stage(bytes: number): void {
    staged += bytes;
    try {
      options.onStaged?.(staged);
    } catch (error) {
      fail(error);
    }
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
    for (const { thread } of lanes) thread.worker.ref();
    return new Promise<void>((resolve) => {
      let isAwake = false;
      const wakeUp = (): void => {
        // An abort wakes first, and the answer that comes later must not let go of workers that are being ended.
        if (isAwake) return;
        isAwake = true;
        options.signal?.removeEventListener('abort', wakeUp);
        for (const { thread } of lanes) thread.worker.unref();
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

  function use(lane: Lane, slot: number): void {
    if (lane.slots.has(slot)) return;
    lane.slots.add(slot);
    references[slot]!++;
  }

  function begin(lane: Lane, content: Content): number {
    if (isOver) throw new Error('content was given after the last');
    const id = nextId++;
    pending.set(id, content);
    owe(lane, content.size);
    return id;
  }

  function smallFile(content: Content, meta: InodeMeta): IncomingFile {
    const lane = idlest(started());
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
        push(lane, { code: op.whole, id, size, pieces: joinAdjacent(pieces), meta, extra: extraOf(meta) });
        for (let at = 0; at < pieces.length; at += 3) references[pieces[at]!]!--;
      },
    };
  }

  function largeFile(
    content: Content,
    meta: InodeMeta,
    sparse: readonly Segment[] | undefined,
  ): IncomingFile {
    const lane = idlest(started());
    const { size } = content;
    const id = begin(lane, content);
    push(lane, { code: op.begin, id, size, meta, extra: sparse === undefined ? undefined : { sparse } });
    return {
      piece(slot, start, length) {
        stage(length);
        use(lane, slot);
        push(lane, { code: op.piece, id, size, pieces: [slot, start, length], meta });
      },
      end() {
        push(lane, { code: op.end, id, size, meta, extra: extraOf(meta) });
      },
    };
  }

  function flush(): void {
    for (const lane of lanes) offer(lane);
  }

  async function drain(): Promise<void> {
    flush();
    await until(() => pending.size === 0);
  }

  async function room(): Promise<void> {
    if (pending.size < queuedFiles) return;
    flush();
    await until(() => pending.size < queuedFiles / 2);
  }

  async function dismiss(): Promise<void> {
    await Promise.all(lanes.map(({ thread }) => endWorker(thread)));
  }

  return {
    prepare: () => void started(),
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
      const lane = idlest(started());
      const id = begin(lane, content);
      const { size } = content;
      push(lane, { code: op.range, id, size, pieces: [fd, offset, 0], meta, extra: extraOf(meta, sparse) });
      if (isFull(lane)) flush();
    },
    room,
    async path(path, meta, size, expected) {
      await room();
      const lane = idlest(started());
      const content: Content = { digest: undefined, size };
      const id = begin(lane, content);
      const extra = { path, expected, xattrs: meta.xattrs };
      push(lane, { code: op.path, id, size, meta, extra });
      if (isFull(lane)) flush();
      return content;
    },
    flush,
    drain,
    async finish() {
      await drain();
      isOver = true;
      // Threads that were still ending while the rest went on have crashed V8 on a very slow machine, and nobody knows why.
      await dismiss();
    },
    discard(contents) {
      // Workers take what is discarded for present.
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
    [Symbol.asyncDispose]: dismiss,
  };
}

/** The main thread reads and parses; hashing and writing saturate every core. */
function workerCount(): number {
  return Math.max(1, Math.min(4, availableParallelism()));
}
