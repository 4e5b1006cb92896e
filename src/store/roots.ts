/**
 * What keeps an image and its content: references with their kept history, pins, checkouts, deployments, and leases of
 * living processes.
 */
import type { Digest } from '../core/digest.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference } from '../core/reference.ts';
import { listDeployments } from './deployments.ts';
import { referenceKey, type HistoryRow, type ReferenceRow } from './references.ts';
import { heldTrees } from './staging.ts';
import { treeOf } from './blobs.ts';
import type { Store } from './store.ts';
import { listUpstream } from './upstream.ts';

export interface Roots {
  readonly images: ReadonlySet<Digest>;
  readonly trees: ReadonlySet<Digest>;
}

/** `keepHistory`: how many earlier values of each living reference stay reachable as `REF@{N}`. */
export function findRoots(store: Store, options: { keepHistory: number }): Roots {
  const images = new Set<Digest>();
  const trees = new Set<Digest>(heldTrees(store.root));
  for (const { value } of store.rows.list<ReferenceRow>('reference')) images.add(value.image);
  for (const image of heldImages(store, trees)) images.add(image);
  for (const { image } of keptVersions(store, options.keepHistory)) images.add(image);
  for (const { value } of store.rows.list<{ tree: Digest; image?: Digest }>('checkout')) {
    trees.add(value.tree);
    if (value.image !== undefined) images.add(value.image);
  }
  for (const { state, image, tree } of listDeployments(store)) {
    if (state === 'failed') continue;
    images.add(image);
    if (tree !== undefined) trees.add(tree);
  }
  for (const image of images) {
    const record = store.rows.get<ImageRecord>('image', image);
    const tree = record === undefined ? undefined : treeOf(store, record);
    if (tree !== undefined) trees.add(tree);
  }
  return { images, trees };
}

/** Images whose tree, or other content, a living process holds: what is being read is still to be found by its digest. */
export function heldImages(
  store: Store,
  held: ReadonlySet<Digest> = new Set(heldTrees(store.root)),
): Digest[] {
  if (held.size === 0) return [];
  return store.rows
    .list<ImageRecord>('image')
    .filter(({ value }) => held.has(value.content) || held.has(treeOf(store, value) ?? value.content))
    .map(({ key }) => key);
}

/**
 * The values of living references that stay reachable as `REF@{N}`, the present one included. History keys sort by
 * reference, platform and time, so each run of one reference ends with its present value.
 */
export function keptVersions(store: Store, keep: number): Required<HistoryRow>[] {
  const byReference = new Map<string, Required<HistoryRow>[]>();
  for (const { value } of store.rows.list<HistoryRow>('history')) {
    const key = referenceKey(value.reference, value.platform);
    if (value.image === undefined || store.rows.get('reference', key) === undefined) continue;
    const versions = byReference.get(key) ?? [];
    versions.push({ ...value, image: value.image });
    byReference.set(key, versions);
  }
  const kept = new Map(listUpstream(store).map(({ reference, row }) => [reference, row.keep]));
  const pinned = new Set(store.rows.list('pin').map(({ key }) => parseReference(key)));
  return [...byReference.values()].flatMap((versions) => {
    const { reference } = versions[0]!;
    return pinned.has(reference) ? versions : versions.slice(-1 - (kept.get(reference) ?? keep));
  });
}
