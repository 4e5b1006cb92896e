/**
 * The bound of a store while something comes in whose size nobody knows before, such as a stream. What is staged is held
 * to what the bound leaves once all that may be evicted is gone, and the transaction ends the moment it is more: then
 * nothing has been changed. What has to go for the rest is chosen before the commit and taken away right after it, since
 * the lock that a transaction holds keeps garbage from being collected meanwhile.
 */
import type { Digest } from '../core/digest.ts';
import type { CellarError } from '../core/errors.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/transaction.ts';
import { allocatedBelow, measureUsage, type StoreUsage } from '../store/usage.ts';
import type { Entry } from '../tree/entry.ts';
import type { Context } from './context.ts';
import { candidates, chooseVictims, evict, garbageIn, storeFull, type Evicted } from './evict.ts';
import { storeLimits } from './limits.ts';

/** A tree that is about to be stored, and the references that are to name it. */
interface Arriving {
  readonly entries: readonly Entry[];
  readonly references: readonly string[];
}

export interface HeldBound {
  /** For `beginTransaction`. */
  readonly transaction: { readonly onStaged: (staging: string) => (bytes: number) => void };
  /** Before the commit: what has to go for it can. @throws E_STORE_FULL */
  check(transaction: Transaction, tree: Arriving): Promise<void>;
  /** After the transaction: it goes. What was stored without a name is to be held until then. */
  settle(): Promise<void>;
}

/**
 * @param workspace directory in staging whose content is read and then thrown away: like the uppers of writable checkouts
 *   it lies outside the bound
 * @returns `undefined` where the store has no bound
 * @throws E_CONFIG
 */
export async function openBound(
  context: Context,
  store: Store,
  { workspace }: { workspace?: string } = {},
): Promise<HeldBound | undefined> {
  const { maxSize: limit } = await storeLimits(context);
  if (limit === undefined) return undefined;
  const measure = (arriving: Iterable<Digest> = []): StoreUsage => {
    const usage = measureUsage(store, arriving);
    const outside = workspace === undefined ? 0 : allocatedBelow(workspace);
    return { ...usage, storedBytes: usage.storedBytes - outside };
  };
  const before = measure();
  const garbage = await garbageIn(store, { context });
  const evictable = new Set(candidates(store).map(({ image }) => image));
  const most = before.images
    .filter(({ image }) => evictable.has(image))
    .reduce((sum, { unique, shared }) => sum + unique + shared, garbage);
  const room = limit - before.storedBytes + most;
  let victims: readonly Evicted[] | undefined;
  return {
    transaction: {
      onStaged: (staging) => watch(staging, room, (needed) => storeFull({ limit, usage: before, needed })),
    },
    async check({ ingest }, { entries, references }) {
      await ingest.drain();
      const usage = measure(objectsOf(entries));
      const needed = manifestBytes(entries);
      if (usage.storedBytes + needed <= limit) return;
      victims = chooseVictims(store, { needed, limit, usage, garbage, except: references });
    },
    async settle() {
      if (victims !== undefined) await evict(store, victims, { limit, context });
    },
  };
}

/**
 * Room for trees all of whose objects the store has, so that only their manifests come in, and how large those are is known
 * before. Nobody may hold the store's lock.
 * @throws E_STORE_FULL, E_CONFIG
 */
export async function makeRoomForManifests(
  context: Context,
  store: Store,
  trees: readonly Arriving[],
): Promise<void> {
  const { maxSize: limit } = await storeLimits(context);
  if (limit === undefined) return;
  const usage = measureUsage(
    store,
    trees.flatMap(({ entries }) => objectsOf(entries)),
  );
  const needed = trees.reduce((sum, { entries }) => sum + manifestBytes(entries), 0);
  if (usage.storedBytes + needed <= limit) return;
  const garbage = await garbageIn(store, { context });
  const except = trees.flatMap(({ references }) => references);
  await evict(store, chooseVictims(store, { needed, limit, usage, garbage, except }), { limit, context });
}

/** What `work` needs room for goes when it is done. */
export async function within<T>(bound: HeldBound | undefined, work: () => Promise<T>): Promise<T> {
  const done = await work();
  await bound?.settle();
  return done;
}

/** Counting is cheap and takes too much for new; only where it would be too much the disk is asked. */
function watch(
  staging: string,
  room: number,
  full: (needed: number) => CellarError,
): (bytes: number) => void {
  const leastStep = 64 << 10;
  let next = room;
  return (bytes) => {
    if (bytes <= next) return;
    const staged = allocatedBelow(staging);
    if (staged > room) throw full(staged);
    next = bytes + Math.max(room - staged, leastStep);
  };
}

function objectsOf(entries: readonly Entry[]): Digest[] {
  return entries.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
}

/** At most what the manifest and the list of objects take, as they are packed. */
function manifestBytes(entries: readonly Entry[]): number {
  return 8192 + entries.length * 128;
}
