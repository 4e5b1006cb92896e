/**
 * Objects leaving the store as one stream of bytes, in order, every one hashed on its way. A damaged or missing
 * object ends the stream with an error before its bytes are handed on.
 */
import { closeSync, openSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { pageAligned } from '../../sys/aligned.ts';
import { isErrno } from '../../sys/errno.ts';
import { objectFile } from '../layout.ts';
import type { Store } from '../store.ts';
import { findHoles } from './holes.ts';
import { createLayout, type StreamPart } from './layout.ts';
import { packSlots, packedSlotBytes, plainSlots } from './protocol.ts';
import type { Segment } from '../../sys/sparse.ts';
import { startWorkers } from './workers.ts';

export interface Egress extends AsyncDisposable {
  /** Data segments of an object that has holes (see holes.ts). */
  segments(object: Digest, size: number): readonly Segment[] | undefined;
  /**
   * The parts one after another, in chunks; a chunk is valid until the next but {@link chunksBehind} is asked for. `size`
   * is its length before packing.
   * @throws E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_CANCELLED
   */
  stream(parts: Iterable<StreamPart>): AsyncGenerator<StreamChunk>;
}

/** Of a stream, being written at a time at most. */
export const chunksBehind = 2;

export interface StreamChunk {
  readonly bytes: Buffer;
  readonly size: number;
}

export interface EgressOptions {
  readonly signal?: AbortSignal;
  /** Level of zstd: each chunk of the stream is then a frame of its own. Only where `canPack` is true. */
  readonly zstd?: number | undefined;
}

/** Of an object that is not there it is the reading that fails. */
function segmentsOf(store: Store, object: Digest, size: number): readonly Segment[] | undefined {
  let fd: number;
  try {
    fd = openSync(objectFile(store.root, object), 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
  try {
    return findHoles(fd, size);
  } finally {
    closeSync(fd);
  }
}

export function openEgress(store: Store, options: EgressOptions = {}): Egress {
  const { signal, zstd } = options;
  const slots = zstd === undefined ? plainSlots : packSlots;
  const memory = pageAligned(slots.bytes * slots.count, { shared: true });
  const packed = pageAligned(zstd === undefined ? 0 : packedSlotBytes * slots.count, { shared: true });
  const workers = startWorkers(store.root, { slots: memory, packed });

  async function* stream(parts: Iterable<StreamPart>): AsyncGenerator<StreamChunk> {
    const layout = createLayout(memory, slots.bytes);
    const flying: Promise<StreamChunk>[] = [];
    let slot = 0;

    /** Resolves when the slot's bytes are all there. */
    const fill = async (start: number, length: number): Promise<StreamChunk> => {
      const reads = layout.take();
      const bytes = memory.subarray(start, start + length);
      if (reads !== undefined) await workers.read(reads, length);
      return { bytes, size: length };
    };
    const pack = async (index: number, chunk: Promise<StreamChunk>): Promise<StreamChunk> => {
      const { size } = await chunk;
      const target = index * packedSlotBytes;
      const length = await workers.pack({ start: index * slots.bytes, length: size, target, level: zstd! });
      return { bytes: packed.subarray(target, target + length), size };
    };
    const dispatch = (): void => {
      const filled = fill(slot * slots.bytes, layout.used());
      const ready = zstd === undefined ? filled : pack(slot, filled);
      ready.catch(() => undefined); // seen when its turn to leave comes
      flying.push(ready);
      slot = (slot + 1) % slots.count;
      layout.begin(slot, workers.idlest());
    };
    const land = async (): Promise<StreamChunk> => {
      if (signal?.aborted === true) throw new CellarError('E_CANCELLED');
      return await flying.shift()!;
    };

    layout.begin(slot, workers.idlest());
    for (const part of parts) {
      if (layout.placeWhole(part)) continue;
      for (const rest of layout.place(part)) {
        void rest;
        dispatch();
        // One slot is being laid out, and the consumer has those that are written and one more; the others are in flight.
        if (flying.length >= slots.count - chunksBehind - 2) yield await land();
      }
    }
    if (layout.used() > 0) dispatch();
    while (flying.length > 0) yield await land();
  }

  return {
    segments: (object, size) => segmentsOf(store, object, size),
    stream,
    [Symbol.asyncDispose]: () => workers[Symbol.asyncDispose](),
  };
}
