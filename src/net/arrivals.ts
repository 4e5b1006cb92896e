/**
 * The bytes of a download between the connections that bring them and those who follow: the hash, and whoever reads
 * while it arrives. A follower is handed blocks from memory while it keeps up and reads the part file when it does
 * not; the connections wait when a reader falls too far behind.
 */
import { sha256Stream, type Digest } from '../core/digest.ts';
import { createIntervals, type Intervals } from './intervals.ts';
import { blockBytes, letGo, type Block } from './blocks.ts';
import type { PartFile } from './part-file.ts';
import type { WriteObserver } from './write-queue.ts';

export interface Arrivals extends WriteObserver {
  /** What has come. */
  readonly present: Intervals;
  /** What of it lies in the part file. */
  readonly inFile: Intervals;
  /**
   * May blocks go to the reader alone from now on, and not into the part file as well? Only those do that came more
   * quickly than they are read: who starts again has to read them again, which takes longer than to fetch them.
   */
  passOn(allowed: boolean): void;
  /** Has a block gone to the reader alone? Then the file is of no use as a whole. */
  hasGaps(): boolean;
  /** Something of interest changed: wake who waits. */
  notify(): void;
  /** Resolves at the next change. */
  changed(): Promise<void>;
  /**
   * While the beginning of the file is compared with what a server sends now: followers may go up to `until`, or
   * where they already are. `undefined` when all is known to be one version.
   */
  hold(until: number | undefined): void;
  /** How far bytes were handed out to readers. */
  handedOut(): number;
  /** The position of the slowest reader; `undefined` while nobody reads. */
  slowest(): number | undefined;
  /** What comes from `at` on was of another version. The caller cuts the file. */
  cut(at: number): void;
  /**
   * The whole file from its beginning, in order, while it arrives. Ends when `complete` was called. A chunk is good
   * until the next is asked for.
   */
  read(): AsyncGenerator<Buffer, void, undefined>;
  /** Resolves to the digest once `size` bytes have gone through the hash, which are all there are. */
  digest(size: number): Promise<Digest>;
  /** Resolves to the digest of the first `size` bytes, all of which have come, while no more come. */
  digestSoFar(size: number): Promise<Digest>;
  complete(size: number): void;
  fail(error: unknown): void;
}

interface Follower {
  position: number;
}

/** How far ahead of a reader blocks are kept in memory for it; what came earlier than that is read again. */
export const keptAhead = 16 << 20;
/** Blocks that are kept: of a slow network each holds little, and takes as much memory as a full one. */
const mostKept = (2 * keptAhead) / blockBytes;
/** As far ahead of its reader, the network is not what is waited for. */
const readersPace = 4 << 20;
/** What at most is fetched again after a kill although it had come. */
const mostPassed = 1 << 30;

interface Kept {
  readonly block: Block;
  readonly start: number;
  readonly bytes: Buffer;
}

export function createArrivals(file: Pick<PartFile, 'read'>): Arrivals {
  const present = createIntervals();
  const inFile = createIntervals();
  const readers = new Set<Follower>();
  /** A few, in any order. */
  const kept = new Set<Kept>();
  const hashing: Follower & { isReading: boolean } = { position: 0, isReading: false };
  let hash = sha256Stream();
  let waiting: (() => void)[] = [];
  let held: number | undefined;
  let handedOut = 0;
  let mayPass = false;
  let passed = 0;
  let cuts = 0;
  let hashedSize: number | undefined;
  let completeSize: number | undefined;
  let failure: { error: unknown } | undefined;

  const notify = (): void => {
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  };
  const changed = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));

  const readable = (): number => {
    const prefix = present.prefix();
    return held === undefined ? prefix : Math.min(prefix, Math.max(held, handedOut));
  };

  /** The next bytes for a follower; `undefined` when a cut came between. */
  const readFor = async ({ position }: Follower, memory: Buffer): Promise<Buffer | undefined> => {
    const before = cuts;
    // What went to a reader alone is a hole there, and holes read as zeros.
    const stored = Math.min(readable(), inFile.missingFrom(position)) - position;
    if (stored <= 0) throw new Error('what went to a reader alone is read again');
    const target = memory.subarray(0, Math.min(memory.length, stored));
    const bytes = await file.read(position, target).catch((error: unknown) => {
      // The file may have become shorter under this very read.
      if (before === cuts) throw error;
    });
    return before === cuts && bytes !== undefined ? bytes : undefined;
  };

  const slowest = (): number | undefined =>
    readers.size === 0 ? undefined : Math.min(...[...readers].map(({ position }) => position));
  const keptAt = (position: number): Kept | undefined => {
    for (const one of kept) if (one.start <= position && position < one.start + one.bytes.length) return one;
    return undefined;
  };
  /** Blocks by where they end. */
  const release = (isUseless: (end: number) => boolean): void => {
    for (const one of kept) {
      if (!isUseless(one.start + one.bytes.length)) continue;
      kept.delete(one);
      letGo(one.block);
    }
  };
  const releaseRead = (): void => {
    const reader = slowest() ?? Infinity;
    release((end) => end <= reader);
  };

  const hashFrom = (start: number, bytes: Buffer): void => {
    if (hashing.isReading || hashing.position < start || hashing.position >= start + bytes.length) return;
    hash.update(bytes.subarray(hashing.position - start));
    hashing.position = start + bytes.length;
  };
  /** A reader will bring the next bytes along, unless it has stopped for good. */
  const isNextForReader = (): boolean =>
    hashedSize === undefined && (slowest() ?? Infinity) <= hashing.position;

  /** What did not come in order is looked for in memory, and read again. */
  const hashAll = async (): Promise<void> => {
    let memory: Buffer | undefined;
    for (;;) {
      if (failure !== undefined) throw failure.error;
      const here = keptAt(hashing.position);
      if (here !== undefined) {
        hashFrom(here.start, here.bytes);
      } else if (hashing.position < readable() && !isNextForReader()) {
        hashing.isReading = true;
        const bytes = await readFor(hashing, (memory ??= Buffer.allocUnsafeSlow(blockBytes)));
        hashing.isReading = false;
        if (bytes === undefined) continue;
        hash.update(bytes);
        hashing.position += bytes.length;
        notify();
      } else if (hashing.position >= (hashedSize ?? Infinity)) return;
      else await changed();
    }
  };
  const hashed = hashAll();
  hashed.catch(() => undefined);

  return {
    present,
    inFile,
    passOn(allowed) {
      mayPass = allowed;
    },
    hasGaps: () => passed > 0,
    gathered(start, block, length) {
      const end = start + length;
      const bytes = block.memory.subarray(0, length);
      hashFrom(start, bytes);
      const reader = slowest();
      if (reader === undefined || start < reader || start > reader + keptAhead || kept.size >= mostKept)
        return 'write';
      block.users++;
      kept.add({ block, start, bytes });
      const passes = mayPass && end - reader > readersPace && passed + length <= mostPassed;
      // What the hash has not met yet it would look for in the file.
      const isWithAll = passes && readers.size === 1 && hashing.position >= end;
      if (isWithAll) {
        passed += length;
        present.add(start, end);
      }
      notify();
      return isWithAll ? 'passed' : 'write';
    },
    written(start, end) {
      present.add(start, end);
      inFile.add(start, end);
      notify();
    },
    notify,
    changed,
    hold(until) {
      held = until;
      notify();
    },
    handedOut: () => handedOut,
    slowest,
    cut(at) {
      cuts++;
      present.cut(at);
      inFile.cut(at);
      release((end) => end > at);
      if (hashing.position <= at) return;
      hashing.position = 0;
      hash = sha256Stream();
    },
    async *read() {
      const self: Follower = { position: 0 };
      readers.add(self);
      try {
        let memory: Buffer | undefined;
        const moved = (bytes: Buffer): void => {
          hashFrom(self.position, bytes);
          self.position += bytes.length;
          handedOut = Math.max(handedOut, self.position);
        };
        for (;;) {
          if (failure !== undefined) throw failure.error;
          const { position } = self;
          const here = keptAt(position);
          if (here !== undefined) {
            const { block, start, bytes } = here;
            block.users++;
            const rest = bytes.subarray(position - start);
            moved(rest);
            try {
              yield rest;
            } finally {
              letGo(block);
            }
            releaseRead();
            notify();
          } else if (position < readable()) {
            const bytes = await readFor(self, (memory ??= Buffer.allocUnsafeSlow(blockBytes)));
            if (bytes === undefined) continue;
            moved(bytes);
            releaseRead();
            notify();
            yield bytes;
          } else if (position >= (completeSize ?? Infinity)) return;
          else await changed();
        }
      } finally {
        readers.delete(self);
        releaseRead();
        notify();
      }
    },
    async digest(size) {
      hashedSize = size;
      notify();
      await hashed;
      return hash.digest('hex');
    },
    async digestSoFar(size) {
      while (hashing.position < size) {
        if (failure !== undefined) throw failure.error;
        await Promise.race([changed(), hashed]);
      }
      return hash.copy().digest('hex');
    },
    complete(size) {
      completeSize = size;
      notify();
    },
    fail(error) {
      failure ??= { error };
      notify();
    },
  };
}
