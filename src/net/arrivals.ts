/**
 * The bytes of a download between the connections that bring them and those who follow: the hash, and whoever reads
 * while it arrives. A follower is handed chunks from memory while it keeps up and reads the part file when it does
 * not; the connections wait when a reader falls too far behind.
 */
import { sha256Stream, type Digest } from '../core/digest.ts';
import { makeIntervals, type Intervals } from './intervals.ts';

export interface Arrivals {
  /** What lies in the part file. */
  readonly written: Intervals;
  /** A chunk came; of several connections they come in any order. */
  arrived(offset: number, chunk: Buffer): void;
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
  /** The whole file from its beginning, in order, while it arrives. Ends when `complete` was called. */
  read(): AsyncGenerator<Buffer, void, undefined>;
  /** Resolves to the digest once `size` bytes have gone through the hash. */
  digest(size: number): Promise<Digest>;
  complete(size: number): void;
  fail(error: unknown): void;
}

interface Follower {
  position: number;
}

/** What may wait in memory for the hash to catch up, as after a resumption. */
const mostInMemory = 64 << 20;
const readBytes = 1 << 20;

export function makeArrivals(file: { read(position: number, length: number): Promise<Buffer> }): Arrivals {
  const written = makeIntervals();
  const memory = new Map<number, Buffer>();
  const readers = new Set<Follower>();
  const hashing: Follower = { position: 0 };
  let hash = sha256Stream();
  let waiting: (() => void)[] = [];
  let held: number | undefined;
  let handedOut = 0;
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

  const passed = (offset: number): void => {
    if (hashing.position <= offset) return;
    for (const { position } of readers) if (position <= offset) return;
    memory.delete(offset);
  };

  /** `take` is called in the same moment in which the position moves, so that no cut comes between. */
  async function* follow(
    self: Follower,
    end: () => number | undefined,
    take: (chunk: Buffer) => void,
  ): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      if (failure !== undefined) throw failure.error;
      const { position } = self;
      const chunk = memory.get(position);
      if (chunk !== undefined) {
        self.position += chunk.length;
        take(chunk);
        passed(position);
        yield chunk;
        continue;
      }
      const prefix = written.prefix();
      const readable = held === undefined ? prefix : Math.min(prefix, Math.max(held, handedOut));
      if (position < readable) {
        const before = cuts;
        const bytes = await file.read(position, Math.min(readBytes, readable - position));
        if (before !== cuts) continue;
        self.position += bytes.length;
        take(bytes);
        yield bytes;
        continue;
      }
      if (position >= (end() ?? Infinity)) return;
      await changed();
    }
  }

  const hashed = (async () => {
    for await (const _ of follow(
      hashing,
      () => hashedSize,
      (chunk) => hash.update(chunk),
    ));
  })();
  hashed.catch(() => undefined);

  return {
    written,
    arrived(offset, chunk) {
      if (offset - hashing.position <= mostInMemory) memory.set(offset, chunk);
      notify();
    },
    notify,
    changed,
    hold(until) {
      held = until;
      notify();
    },
    handedOut: () => handedOut,
    slowest: () => (readers.size === 0 ? undefined : Math.min(...[...readers].map((each) => each.position))),
    cut(at) {
      cuts++;
      memory.clear();
      written.cut(at);
      if (hashing.position <= at) return;
      hashing.position = 0;
      hash = sha256Stream();
    },
    async *read() {
      const self: Follower = { position: 0 };
      readers.add(self);
      try {
        const took = (): void => {
          handedOut = Math.max(handedOut, self.position);
          notify();
        };
        yield* follow(self, () => completeSize, took);
      } finally {
        readers.delete(self);
        notify();
      }
    },
    async digest(size) {
      hashedSize = size;
      notify();
      await hashed;
      return hash.digest('hex');
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
