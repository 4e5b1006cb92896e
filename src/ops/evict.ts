/**
 * The bound of a store, held before anything is written: first what nothing refers to goes, then the images that were
 * used least recently. Only what was pulled is taken, since it can be pulled again; never what is pinned, checked
 * out, deployed or held by a living process.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { formatBytes } from '../core/size.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { listDeployments } from '../store/deployments.ts';
import { collectGarbage } from '../store/gc.ts';
import { isPinned } from '../store/pins.ts';
import { listReferences, planRemoval, type ReferenceRow } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import { heldImages } from '../store/roots.ts';
import type { Store } from '../store/store.ts';
import { lastUsed } from '../store/used.ts';
import { measureUsage, type StoreUsage } from '../store/usage.ts';
import type { Context } from './context.ts';
import { defaultKeepHistory } from './gc-defaults.ts';

export interface Bound {
  /** Bytes that are about to be written. */
  readonly needed: number;
  /** Bytes that the store may take in all. */
  readonly limit: number;
  readonly context: Context;
  readonly dryRun?: boolean;
}

export interface Evicted extends ReferenceRow {
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** Take away as little as makes room. @throws E_STORE_FULL when even that does not; nothing is taken then */
export async function evictFor(store: Store, bound: Bound): Promise<readonly Evicted[]> {
  const { needed, limit } = bound;
  const usage = measureUsage(store);
  if (usage.storedBytes + needed <= limit) return [];
  const victims = chooseVictims(store, { ...bound, usage, garbage: await garbageIn(store, bound) });
  if (bound.dryRun !== true) await evict(store, victims, bound);
  return victims;
}

/** Bytes that nothing refers to. */
export async function garbageIn(store: Store, { context }: Pick<Bound, 'context'>): Promise<number> {
  return (await collectGarbage(store, { ...atOnce(context), dryRun: true })).bytes;
}

export interface Choice {
  readonly needed: number;
  readonly limit: number;
  readonly usage: StoreUsage;
  /** Bytes that go before any image does. */
  readonly garbage: number;
  /** References that are never taken: those that are about to name something else. */
  readonly except?: readonly string[];
}

/** As few as make room, least recently used first. @throws E_STORE_FULL */
export function chooseVictims(store: Store, choice: Choice): readonly Evicted[] {
  const { needed, limit, usage, garbage, except = [] } = choice;
  const excess = usage.storedBytes + needed - limit;
  const unique = new Map(usage.images.map((image) => [image.image, image.unique]));
  // An image goes with the last of its names.
  const names = Map.groupBy(listReferences(store), ({ image }) => image);
  const left = new Map([...names].map(([image, rows]) => [image, rows.length]));
  const victims: Evicted[] = [];
  let freed = garbage;
  for (const row of candidates(store).filter(({ reference }) => !except.includes(reference))) {
    if (freed >= excess) break;
    victims.push({ ...row, lastUsed: lastUsed(store, row.image) });
    const others = (left.get(row.image) ?? 1) - 1;
    left.set(row.image, others);
    if (others === 0) freed += unique.get(row.image) ?? 0;
  }
  if (freed < excess) throw storeFull(choice);
  return victims;
}

export function storeFull({ limit, usage, needed }: Pick<Choice, 'limit' | 'usage' | 'needed'>): CellarError {
  return new CellarError('E_STORE_FULL', {
    details: {
      limit: formatBytes(limit),
      used: formatBytes(usage.storedBytes),
      needed: formatBytes(needed),
    },
  });
}

/** Their references go, and what nothing refers to then. Nobody may hold the store's lock. */
export async function evict(
  store: Store,
  victims: readonly Evicted[],
  { limit, context }: Pick<Bound, 'limit' | 'context'>,
): Promise<void> {
  store.rows.update(() => ({
    changes: victims.flatMap((row) => planRemoval(store.rows, row, Date.now())),
    result: undefined,
  }));
  for (const { reference } of victims)
    context.events({ type: 'note', text: `${reference} was evicted to stay within ${formatBytes(limit)}` });
  await collectGarbage(store, atOnce(context));
}

/** Without grace, which is for readers that hold no lease; whoever runs on this machine holds one. */
function atOnce({ signal }: Context): Parameters<typeof collectGarbage>[1] {
  return { grace: 0, keepHistory: defaultKeepHistory, events: ignoreEvents, signal };
}

/** Least recently used first. */
export function candidates(store: Store): ReferenceRow[] {
  const inUse = imagesInUse(store);
  return listReferences(store)
    .filter(({ image }) => !inUse.has(image) && readRecord(store, image).provenance.via === 'pull')
    .toSorted((a, b) => lastUsed(store, a.image) - lastUsed(store, b.image));
}

/** What gc would keep for other reasons than its name, so that taking the name away would free nothing. */
function imagesInUse(store: Store): ReadonlySet<Digest> {
  return new Set([
    ...listCheckouts(store).flatMap(({ image }) => (image === undefined ? [] : [image])),
    ...listDeployments(store).flatMap(({ state, image }) => (state === 'failed' ? [] : [image])),
    ...listReferences(store).flatMap(({ reference, image }) => (isPinned(store, reference) ? [image] : [])),
    ...heldImages(store),
  ]);
}
