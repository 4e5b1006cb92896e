/**
 * Objects leaving the store as one stream of bytes, in order, every one hashed on its way. A damaged or missing
 * object ends the stream with an error before its bytes are handed on.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { inStore } from '../layout.ts';
import type { Store } from '../store.ts';
import { flag, slotBytes, slotCount, type EgressAnswer, type Segment } from './protocol.ts';

/** Bytes given as they are, or an object's content (only its data segments, when it is to be written sparsely). */
export type StreamPart = Uint8Array | StreamedObject;

export interface StreamedObject {
  readonly object: Digest;
  readonly size: number;
  readonly segments?: readonly Segment[] | undefined;
}

export interface Egress extends AsyncDisposable {
  /** Data segments of those objects that have holes (see holes.ts). */
  segments(objects: readonly { object: Digest; size: number }[]): Promise<Map<Digest, readonly Segment[]>>;
  /**
   * The parts one after another, in chunks; a chunk is valid until the next is asked for.
   * @throws E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_CANCELLED
   */
  stream(parts: Iterable<StreamPart>): AsyncGenerator<Buffer>;
}

export function openEgress(store: Store, options: { signal?: AbortSignal } = {}): Egress {
  const shared = new SharedArrayBuffer(slotBytes * slotCount);
  const memory = Buffer.from(shared);
  const answers = new Map<number, { resolve(answer: EgressAnswer): void; reject(error: unknown): void }>();
  let tickets = 0;
  const workers = Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, () => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { slots: shared, objects: inStore(store.root, 'objects') },
    });
    worker.on('message', (answer: EgressAnswer) => {
      answers.get(answer.ticket)?.resolve(answer);
      answers.delete(answer.ticket);
    });
    worker.on('error', (error) => {
      for (const { reject } of answers.values()) reject(error);
    });
    return worker;
  });

  async function ask(worker: number, message: object, transfer: ArrayBuffer[] = []): Promise<EgressAnswer> {
    const ticket = tickets++;
    const answer = await new Promise<EgressAnswer>((resolve, reject) => {
      answers.set(ticket, { resolve, reject });
      workers[worker]!.postMessage({ ...message, ticket }, transfer);
    });
    if (answer.error === undefined) return answer;
    const { code, object, found } = answer.error;
    if (code === 'E_IO')
      throw new CellarError('E_IO', {
        details: { doing: 'reading objects', path: store.root, problem: found },
      });
    throw new CellarError(code, { details: { object, found } });
  }

  async function* stream(parts: Iterable<StreamPart>): AsyncGenerator<Buffer> {
    const layout = createLayout(workers.length, memory);
    const flying: { bytes: Buffer; ready: Promise<unknown> }[] = [];
    let slot = 0;
    const dispatch = (): void => {
      const ready = layout
        .take()
        .map(({ worker, reads, digests }) =>
          ask(worker, { kind: 'read', reads, digests }, [reads.buffer as ArrayBuffer]),
        );
      const all = Promise.all(ready);
      all.catch(() => undefined); // seen when its turn to leave comes
      flying.push({ bytes: memory.subarray(slot * slotBytes, slot * slotBytes + layout.used()), ready: all });
      slot = (slot + 1) % slotCount;
      layout.begin(slot);
    };
    const land = async (): Promise<Buffer> => {
      if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
      const first = flying.shift()!;
      await first.ready;
      return first.bytes;
    };
    layout.begin(slot);
    for (const part of parts) {
      for (const rest of layout.place(part)) {
        void rest;
        dispatch();
        // One slot is being laid out and one is with the consumer; the others are in flight.
        if (flying.length >= slotCount - 2) yield await land();
      }
    }
    if (layout.used() > 0) dispatch();
    while (flying.length > 0) yield await land();
  }

  return {
    async segments(objects) {
      const batches = workers.map((_, worker) =>
        objects.filter((_object, at) => at % workers.length === worker),
      );
      const found = new Map<Digest, readonly Segment[]>();
      await Promise.all(
        batches.map(async (batch, worker) => {
          if (batch.length === 0) return;
          const { segments } = await ask(worker, {
            kind: 'scan',
            digests: batch.map(({ object }) => object),
            sizes: batch.map(({ size }) => size),
          });
          batch.forEach(({ object }, at) => {
            const data = segments![at];
            if (data !== undefined) found.set(object, data);
          });
        }),
      );
      return found;
    },
    stream,
    async [Symbol.asyncDispose]() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

interface WorkerReads {
  readonly worker: number;
  readonly reads: Float64Array;
  readonly digests: string[];
}

/** Lays parts over the present slot; `place` yields each time the slot is full and the next one must begin. */
function createLayout(
  workers: number,
  memory: Buffer,
): {
  begin(slot: number): void;
  place(part: StreamPart): Generator<void>;
  take(): WorkerReads[];
  used(): number;
} {
  let base = 0;
  let used = 0;
  let file = 0;
  let turn = 0;
  let reads: number[][] = [];
  let digests: string[][] = [];

  function* placeBytes(bytes: Uint8Array): Generator<void> {
    for (let done = 0; done < bytes.length;) {
      const part = bytes.subarray(done, done + slotBytes - used);
      memory.set(part, base + used);
      used += part.length;
      done += part.length;
      if (used === slotBytes) yield;
    }
  }

  /** All pieces of one file go to one worker, which keeps it open and hashes it through. */
  function* placeObject({ object, size, segments }: StreamedObject): Generator<void> {
    const id = file++;
    const worker = turn;
    const pieces = segments ?? [{ offset: 0, length: size }];
    const last = pieces.findLastIndex(({ length }) => length > 0);
    let first = true;
    if (last < 0) {
      // Nothing but a hole: nothing is placed, and all of it is hashed all the same.
      reads[worker]!.push(id, flag.first | flag.last, base + used, 0, 0, size);
      digests[worker]!.push(object);
    }
    for (const [index, { offset, length }] of pieces.entries()) {
      for (let done = 0; done < length;) {
        const count = Math.min(length - done, slotBytes - used);
        const isLast = index === last && done + count === length;
        reads[worker]!.push(
          id,
          (first ? flag.first : 0) | (isLast ? flag.last : 0),
          base + used,
          offset + done,
          count,
          size,
        );
        digests[worker]!.push(object);
        first = false;
        used += count;
        done += count;
        if (used === slotBytes) yield;
      }
    }
  }

  return {
    begin(slot) {
      base = slot * slotBytes;
      used = 0;
      turn = (turn + 1) % workers;
      reads = Array.from({ length: workers }, () => []);
      digests = Array.from({ length: workers }, () => []);
    },
    place: (part) => (part instanceof Uint8Array ? placeBytes(part) : placeObject(part)),
    take: () =>
      reads.flatMap((numbers, worker) =>
        numbers.length === 0
          ? []
          : [{ worker, reads: Float64Array.from(numbers), digests: digests[worker]! }],
      ),
    used: () => used,
  };
}
