/**
 * The bound of a store, held before anything is written: first what nothing refers to goes, then the images that were
 * used least recently. Only what was pulled is taken, since it can be pulled again; never what is pinned, checked
 * out or held by a living process.
 */
import { CellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { formatBytes } from '../core/size.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { collectGarbage } from '../store/gc.ts';
import { isPinned } from '../store/pins.ts';
import { listReferences, planRemoval, type ReferenceRow } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import type { Store } from '../store/store.ts';
import { lastUsed } from '../store/used.ts';
import { measureUsage } from '../store/usage.ts';
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
  const { needed, limit, context } = bound;
  const usage = measureUsage(store);
  if (usage.storedBytes + needed <= limit) return [];
  const excess = usage.storedBytes + needed - limit;
  const unique = new Map(usage.images.map((image) => [image.image, image.unique]));
  const garbage = await collectGarbage(store, { ...atOnce(context), dryRun: true });
  const victims: Evicted[] = [];
  let freed = garbage.bytes;
  for (const row of candidates(store)) {
    if (freed >= excess) break;
    victims.push({ ...row, lastUsed: lastUsed(store, row.image) });
    freed += unique.get(row.image) ?? 0;
  }
  if (freed < excess)
    throw new CellarError('E_STORE_FULL', {
      details: {
        limit: formatBytes(limit),
        used: formatBytes(usage.storedBytes),
        needed: formatBytes(needed),
      },
    });
  if (bound.dryRun === true) return victims;
  store.rows.update(() => ({
    changes: victims.flatMap((row) => planRemoval(store.rows, row, Date.now())),
    result: undefined,
  }));
  for (const { reference } of victims)
    context.events({ type: 'note', text: `${reference} was evicted to stay within ${formatBytes(limit)}` });
  await collectGarbage(store, atOnce(context));
  return victims;
}

/** Without grace, which is for readers that hold no lease; whoever runs on this machine holds one. */
function atOnce({ signal }: Context): Parameters<typeof collectGarbage>[1] {
  return { grace: 0, keepHistory: defaultKeepHistory, events: ignoreEvents, signal };
}

/** Least recently used first. */
function candidates(store: Store): ReferenceRow[] {
  const inUse = new Set(listCheckouts(store).flatMap(({ image }) => (image === undefined ? [] : [image])));
  return listReferences(store)
    .filter(
      ({ reference, image }) =>
        !isPinned(store, reference) &&
        !inUse.has(image) &&
        readRecord(store, image).provenance.via === 'pull',
    )
    .toSorted((a, b) => lastUsed(store, a.image) - lastUsed(store, b.image));
}
