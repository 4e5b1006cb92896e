/**
 * The bound of a store while something comes in whose size nobody knows before, such as a stream or what an archive unpacks
 * to. What arrives is held to what the bound leaves once all that may be evicted is gone, and the transaction ends the
 * moment it is more: then nothing has been changed. What has to go for the rest is chosen before the commit and taken away
 * right after the transaction, since the lock that it holds keeps garbage from being collected meanwhile.
 */
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { asWarning } from '../../core/events.ts';
import type { Reference } from '../../core/reference.ts';
import { inStore } from '../../store/layout.ts';
import type { Store } from '../../store/store.ts';
import { beginTransaction, type Transaction } from '../../store/transaction.ts';
import { storedBytes } from '../../store/usage.ts';
import { allocatedBelow } from '../../sys/disk-usage.ts';
import type { Entry } from '../../tree/entry.ts';
import type { Evicted, Holder } from './evict.ts';
import { storeLimits } from './limits.ts';

export interface HeldTransaction extends Transaction {
  /** Bytes that are written to the store beside what is ingested, such as a download. @throws E_STORE_FULL */
  arrived(bytes: number): void;
}

export interface Holding {
  /**
   * Directory in staging whose content is read and then thrown away: like the uppers of writable checkouts it lies outside
   * the bound.
   */
  readonly workspace?: string;
  /** In place of what cellar.yaml says, in bytes. */
  readonly limit?: number | undefined;
  /** References that are never taken, beside those that the commit names. */
  readonly except?: readonly Reference[] | undefined;
  /** Nothing will be committed, so nothing is held. */
  readonly dryRun?: boolean;
}

/**
 * A transaction whose commit makes room. When `work` and the transaction are done, what has to go for it goes: what was
 * committed without a name is to be held by then.
 * @throws E_CONFIG, E_STORE_FULL, and what `work` does
 */
export async function inTransaction<T>(
  context: Holder,
  store: Store,
  work: (transaction: HeldTransaction) => Promise<T>,
  holding: Holding = {},
): Promise<T> {
  await using transaction = await beginHeld(context, store, holding);
  return await work(transaction);
}

async function beginHeld(
  context: Holder,
  store: Store,
  { workspace, limit: given, except = [], dryRun = false }: Holding,
): Promise<HeldTransaction> {
  const { signal } = context;
  const limits = dryRun ? {} : await storeLimits(context);
  const limit = dryRun ? undefined : (given ?? limits.maxSize);
  if (limit === undefined) return { ...(await beginTransaction(store, { signal })), arrived: () => {} };
  const { keep } = limits;
  const { chooseVictims, evict, evictableBytes, storeFull } = await import('./evict.ts');
  const below = (directory: string): number => allocatedBelow(fromText(directory), { directories: false });
  const outside = workspace === undefined ? 0 : below(workspace);
  const used = storedBytes(store) - outside;
  const free = limit - used;
  // Looked for only where it is needed: it takes a look at every object list.
  let evictable: number | undefined;
  const room = (): number => free + (evictable ??= evictableBytes(store, { keep }));
  const downloads = inStore(store.root, 'downloads');
  const before = below(downloads);
  let staged = (): number => 0;
  let watcher = (_bytes: number): void => {};
  let [ingested, besides] = [0, 0];
  const inner = await beginTransaction(store, {
    signal,
    onStaged(staging) {
      staged = () => below(staging) + below(downloads) - before;
      watcher = watch({ free, room, staged }, (needed) => storeFull({ limit, used, needed }));
      return (bytes) => watcher((ingested = bytes) + besides);
    },
  });
  let victims: readonly Evicted[] | undefined;
  let isCommitted = false;
  const chooseFor = async (arriving: Arriving): Promise<void> => {
    await inner.ingest.drain();
    const { objects, references } = arriving;
    const own = staged();
    const bound = { limit, keep, needed: own + arriving.needed, outside: outside + own };
    victims = chooseVictims(store, { ...bound, except: [...except, ...references] }, objects);
  };
  return {
    ...inner,
    arrived: (bytes) => watcher(ingested + (besides += bytes)),
    async commit(image) {
      await chooseFor(
        'entries' in image ? arrivingTree(image.entries, image.references) : { ...image, needed: 0 },
      );
      const written = await inner.commit(image);
      isCommitted = true;
      return written;
    },
    async commitUnpacked(manifest, unpacked) {
      await chooseFor(arrivingTree(unpacked.entries, []));
      const written = await inner.commitUnpacked(manifest, unpacked);
      isCommitted = true;
      return written;
    },
    async [Symbol.asyncDispose]() {
      await inner[Symbol.asyncDispose]();
      if (isCommitted && victims !== undefined) await evict(context, store, victims, { limit, keep });
    },
  };
}

/**
 * Room for trees all of whose objects the store has, so that only their manifests come in, and how large those are is known
 * before. Nobody may hold the store's lock.
 * @throws E_STORE_FULL, E_CONFIG
 */
export async function makeRoomForManifests(
  context: Holder,
  store: Store,
  trees: readonly { readonly entries: readonly Entry[]; readonly references: readonly Reference[] }[],
): Promise<void> {
  const { maxSize: limit, keep } = await storeLimits(context);
  if (limit === undefined) return;
  const { evictFor } = await import('./evict.ts');
  const arriving = trees.map(({ entries, references }) => arrivingTree(entries, references));
  const bound = {
    ...{ limit, keep },
    needed: arriving.reduce((sum, { needed }) => sum + needed, 0),
    except: arriving.flatMap(({ references }) => references),
  };
  await evictFor(
    context,
    store,
    bound,
    arriving.flatMap(({ objects }) => objects),
  );
}

/** Room for what is derived from what the store has. Nobody may hold the store's lock. @throws E_STORE_FULL, E_CONFIG */
export async function makeRoomForDerived(context: Holder, store: Store, needed: number): Promise<void> {
  const { maxSize: limit, keep } = await storeLimits(context);
  if (limit === undefined) return;
  const { evictFor } = await import('./evict.ts');
  await evictFor(context, store, { limit, keep, needed });
}

/** The same after it was written, where that cannot be known before: what cannot go is told of. */
export async function shrink(context: Holder, store: Store): Promise<void> {
  try {
    await makeRoomForDerived(context, store, 0);
  } catch (error) {
    if (!isCellarError(error, 'E_STORE_FULL')) throw error;
    context.events(asWarning(error));
  }
}

/** What is about to be stored: its objects, bytes beside them, and the references that are to name it. */
interface Arriving {
  readonly objects: readonly Digest[];
  readonly needed: number;
  readonly references: readonly Reference[];
}

function arrivingTree(entries: readonly Entry[], references: readonly Reference[]): Arriving {
  const objects = entries.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  return { objects, needed: manifestBytes(entries), references };
}

/** At most what the manifest and the list of objects take, as they are packed. */
function manifestBytes(entries: readonly Entry[]): number {
  return 8192 + entries.length * 128;
}

/** Counting is cheap and takes too much for new; only where it would be too much the disk is asked, and what may go. */
function watch(
  bytes: { readonly free: number; room(): number; staged(): number },
  full: (needed: number) => Error,
): (counted: number) => void {
  const leastStep = 64 << 10;
  let next = bytes.free;
  return (counted) => {
    if (counted <= next) return;
    const found = bytes.staged();
    const most = found > bytes.free ? bytes.room() : bytes.free;
    if (found > most) throw full(found);
    next = counted + Math.max(most - found, leastStep);
  };
}
