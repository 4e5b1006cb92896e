/**
 * The bound of a store, held before anything is written: first what nothing refers to goes, then earlier versions of what
 * was pulled, then the images that were used least recently. Only what was pulled is taken, since it can be pulled again;
 * never what is pinned, checked out, deployed or held by a living process, nor the name that is about to get a new value.
 */
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { ImageRecord } from '../../core/record.ts';
import type { Reference } from '../../core/reference.ts';
import { formatBytes } from '../../core/quantity.ts';
import { listCheckouts } from '../../store/checkouts.ts';
import { listDeployments } from '../../store/deployments.ts';
import { collectGarbage, garbageBytes } from '../../store/gc.ts';
import { countOwners } from '../../store/owners.ts';
import { isPinned } from '../../store/pins.ts';
import { listReferences, planForgetting, planRemoval, type ReferenceRow } from '../../store/references.ts';
import { findRoots, heldImages, keptVersions } from '../../store/roots.ts';
import type { Store } from '../../store/store.ts';
import { lastUsed } from '../../store/used.ts';
import { storedBytes } from '../../store/usage.ts';
import type { Context } from '../context.ts';
import { defaultKeepHistory } from './defaults.ts';

/** Who asks: where the bound is written, and where is told what goes. */
export type Holder = Omit<Context, 'storeRoot'>;

export interface Bound {
  /** Bytes that are about to be written. */
  readonly needed: number;
  /** Bytes that the store may take in all. */
  readonly limit: number;
  /** Earlier values of each reference that gc keeps. Default 10. */
  readonly keep?: number | undefined;
  /** Bytes in the store that do not count. */
  readonly outside?: number;
  /** References that are never taken: those that are about to name something else. */
  readonly except?: readonly Reference[];
}

/** What a reference names, or named. */
type Version = Pick<ReferenceRow, 'reference' | 'platform' | 'image'>;

/** A name that goes. */
export interface Evicted extends Version {
  /** The reference stays and has a newer value. */
  readonly isEarlier: boolean;
  /** Milliseconds since the epoch. */
  readonly lastUsed: number;
  /** On the disk, that nobody needs then: of an image with several names, with the last of them. */
  readonly bytes: number;
}

/** An image that may go, with all its names. */
export interface Candidate {
  readonly image: Digest;
  readonly names: readonly Omit<Evicted, 'bytes'>[];
}

/** Take away as little as makes room. @throws E_STORE_FULL when even that does not; nothing is taken then */
export async function evictFor(
  context: Holder,
  store: Store,
  bound: Bound & { dryRun?: boolean },
  arriving: Iterable<Digest> = [],
): Promise<readonly Evicted[]> {
  const victims = chooseVictims(store, bound, arriving);
  if (victims === undefined) return [];
  if (bound.dryRun !== true) await evict(context, store, victims, bound);
  return victims;
}

/**
 * As few as make room; `undefined` when there is room as it is.
 * @param arriving objects of what is about to be stored: what it has, too, does not go with another image
 * @throws E_STORE_FULL
 */
export function chooseVictims(
  store: Store,
  bound: Bound,
  arriving: Iterable<Digest> = [],
): readonly Evicted[] | undefined {
  const { needed, limit, keep = defaultKeepHistory, outside = 0, except = [] } = bound;
  const used = storedBytes(store) - outside;
  const excess = used + needed - limit;
  if (excess <= 0) return undefined;
  const roots = findRoots(store, { keepHistory: keep });
  const owners = countOwners(store, roots, arriving);
  const victims: Evicted[] = [];
  let freed = garbageBytes(store, roots);
  for (const { image, names } of candidates(store, { keep, except })) {
    if (freed >= excess) break;
    const bytes = owners.release(image);
    freed += bytes;
    victims.push(...names.map((name, at) => ({ ...name, bytes: at === names.length - 1 ? bytes : 0 })));
  }
  if (freed < excess) throw storeFull({ limit, used, needed });
  return victims;
}

/** Bytes that could go at most, garbage included. */
export function evictableBytes(store: Store, { keep = defaultKeepHistory }: Pick<Bound, 'keep'>): number {
  const roots = findRoots(store, { keepHistory: keep });
  const owners = countOwners(store, roots);
  return candidates(store, { keep }).reduce(
    (sum, { image }) => sum + owners.release(image),
    garbageBytes(store, roots),
  );
}

export function storeFull(figures: { limit: number; used: number; needed: number }): CellarError {
  const { limit, used, needed } = figures;
  const besides = needed > 0 ? `, and ${formatBytes(needed)} more are needed` : ', and no more of it may go';
  return new CellarError('E_STORE_FULL', {
    details: { limit: formatBytes(limit), used: formatBytes(used), needed: formatBytes(needed), besides },
  });
}

/** Their names go, and what nothing refers to then. Nobody may hold the store's lock. */
export async function evict(
  context: Holder,
  store: Store,
  victims: readonly Evicted[],
  { limit, keep = defaultKeepHistory }: Pick<Bound, 'limit' | 'keep'>,
): Promise<void> {
  const now = Date.now();
  store.rows.update(() => ({
    changes: victims.flatMap((name) =>
      name.isEarlier ? planForgetting(store.rows, name) : planRemoval(store.rows, name, now),
    ),
    result: undefined,
  }));
  for (const { reference, isEarlier } of victims)
    context.events({
      type: 'note',
      text: `${isEarlier ? `an earlier version of ${reference}` : reference} was evicted to stay within ${formatBytes(limit)}`,
    });
  // Without grace, which is for readers that hold no lease; whoever runs on this machine holds one.
  const { signal } = context;
  await collectGarbage(store, { grace: 0, keepHistory: keep, signal });
}

/** Images that only earlier versions name come first; then those least recently used. */
export function candidates(
  store: Store,
  { keep = defaultKeepHistory, except = [] }: Pick<Bound, 'keep' | 'except'> = {},
): Candidate[] {
  const inUse = imagesInUse(store);
  const present = listReferences(store);
  const names = [
    ...present.map((row) => ({ ...row, isEarlier: false })),
    ...earlierVersions(store, present, keep),
  ];
  return [...Map.groupBy(names, ({ image }) => image)]
    .filter(
      ([image, own]) =>
        !inUse.has(image) &&
        store.rows.get<ImageRecord>('image', image)?.provenance.via === 'pull' &&
        own.every(({ reference, isEarlier }) =>
          isEarlier ? !isPinned(store, reference) : !except.includes(reference),
        ),
    )
    .map(([image, own]) => {
      const used = lastUsed(store, image);
      return {
        ...{ image, used, isEarlier: own.every(({ isEarlier }) => isEarlier) },
        names: own.map(({ reference, platform, isEarlier }) => ({
          ...{ reference, platform, image, isEarlier, lastUsed: used },
        })),
      };
    })
    .toSorted((a, b) => Number(b.isEarlier) - Number(a.isEarlier) || a.used - b.used);
}

function earlierVersions(
  store: Store,
  present: readonly ReferenceRow[],
  keep: number,
): (Version & { isEarlier: true })[] {
  const id = ({ reference, platform, image }: Version): string => `${reference}\n${platform}\n${image}`;
  const seen = new Set(present.map(id));
  return keptVersions(store, keep).flatMap(({ reference, platform, image }) => {
    const name = { reference, platform, image, isEarlier: true } as const;
    if (seen.has(id(name))) return [];
    seen.add(id(name));
    return [name];
  });
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
