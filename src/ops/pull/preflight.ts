/**
 * Room before a transfer begins: on the disk, and within the bound of the store. A transfer that cannot end well is
 * refused before its first byte, with the figures.
 */
import type { Offer, Part } from '../../source/port.ts';
import { CellarError } from '../../core/errors.ts';
import { garbageBytes } from '../../store/gc.ts';
import { objectSize } from '../../store/objects.ts';
import { freeBytes } from '../../store/reserve.ts';
import { findRoots } from '../../store/roots.ts';
import type { Store } from '../../store/store.ts';
import { formatBytes } from '../../core/quantity.ts';
import { defaultKeepHistory } from '../gc/defaults.ts';
import { storeLimits } from '../gc/limits.ts';
import type { Pulling } from './offer.ts';

/** What packed archives of root file systems unpack to, at most of what is seen; only ever used to ask for room. */
const packedRatio = 4;

/**
 * @param renews whether the reference names an earlier version, most of whose content a new one has: then only what is
 * certain to be written is asked for
 * @throws E_SPACE_NEEDED, E_STORE_FULL
 */
export async function makeRoom(
  { context, store, reference, options }: Pulling,
  offer: Offer,
  { renews }: { readonly renews: boolean },
): Promise<void> {
  const { maxSize, keep } = await storeLimits(context);
  const needed = renews ? bytesToFetch(store, offer) : bytesNeeded(store, offer);
  const free = freeBytes(store.root);
  if (needed > free) throw spaceNeeded(store, { needed, free, keep });
  const limit = options.maxStoreSize ?? maxSize;
  if (limit === undefined) return;
  const { evictFor } = await import('../gc/evict.ts');
  const except = [reference, ...(options.spare ?? [])];
  await evictFor(context, store, { needed: bytesToFetch(store, offer), limit, keep, except });
}

function spaceNeeded(
  store: Store,
  { needed, free, keep = defaultKeepHistory }: { needed: number; free: number; keep: number | undefined },
): CellarError {
  const garbage = garbageBytes(store, findRoots(store, { keepHistory: keep }));
  return new CellarError('E_SPACE_NEEDED', {
    details: { path: store.root, needed: formatBytes(needed), free: formatBytes(free) },
    ...(garbage > 0 && {
      hint: `'cellar gc --grace 0' frees ${formatBytes(garbage)}; nothing was transferred`,
    }),
  });
}

/** At most, as far as sizes are known. */
function bytesNeeded(store: Store, offer: Offer): number {
  return lacking(store, offer).reduce((sum, part) => sum + (part.size ?? 0) * ratio(part), 0);
}

/** What is certain to be written; what it unpacks to is held to the bound as it comes. */
function bytesToFetch(store: Store, offer: Offer): number {
  return lacking(store, offer)
    .filter(({ from, format }) => from.type === 'http' || format === undefined)
    .reduce((sum, { size = 0 }) => sum + size, 0);
}

function lacking(store: Store, { parts }: Offer): Part[] {
  return parts.filter(({ sha256 }) => sha256 === undefined || objectSize(store.root, sha256) === undefined);
}

/** The download itself is dropped before the objects are synced, so it needs no room beside them. */
function ratio({ format, name }: Part): number {
  if (format === 'squashfs') return packedRatio + 1;
  return format === 'tar' && !name.endsWith('.tar') ? packedRatio : 1;
}
