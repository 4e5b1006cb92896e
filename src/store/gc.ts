/**
 * Garbage collection. Marks without the lock, so that writers go on; then, under the exclusive lock, marks what
 * came meanwhile and sweeps. Deletion runs in the opposite order of publishing: rows, then manifests, then
 * objects, so a crash half-way leaves only more garbage. Nothing younger (by ctime) than the grace period goes.
 */
import { adoptMetadata } from './fsck/inodes.ts';
import { markedObjectsOf, markImage, markRoots, noMarks } from './gc/mark.ts';
import { planRows } from './gc/rows.ts';
import { sweepDownloads, sweepObjects, sweepTrees, sweepUnfinished, sweepVariants } from './gc/sweep.ts';
import { compactJournal } from './journal.ts';
import { lockStore } from './lock.ts';
import { findRoots, type Roots } from './roots.ts';
import type { Store } from './store.ts';

export interface GcOptions {
  /** Milliseconds; younger things stay. */
  readonly grace: number;
  readonly keepHistory: number;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export interface GcResult {
  readonly images: number;
  readonly trees: number;
  readonly objects: number;
  /** Bytes on disk that were freed (or would be). */
  readonly bytes: number;
  /** Unreferenced, but younger than the grace period. */
  readonly young: { readonly images: number; readonly objects: number; readonly bytes: number };
}

/** @throws E_CANCELLED; E_DATABASE_DAMAGED; E_TREE_DAMAGED and E_TREE_MISSING when it cannot be told what a tree needs */
export async function collectGarbage(store: Store, options: GcOptions): Promise<GcResult> {
  const { grace, dryRun = false, signal } = options;
  const marks = noMarks();
  // What a damaged database hides would be taken for garbage.
  store.rows.requireWhole();
  markRoots(store, findRoots(store, options), marks);
  using _lock = await lockStore(store.root, 'exclusive', signal === undefined ? {} : { signal });
  const roots = findRoots(store, options);
  markRoots(store, roots, marks);
  const sweep = { before: Date.now() - grace, dryRun };
  const { changes, images, young } = planRows(store, roots, sweep.before);
  for (const record of young) markImage(store, record, marks);
  const going = changes.filter(({ kind }) => kind === 'tree').map(({ key }) => key);
  // Their inodes may carry the metadata of a tree that goes.
  const staying = dryRun ? [] : going.flatMap((tree) => markedObjectsOf(store, tree, marks));
  if (!dryRun) store.rows.write(changes);
  const trees = sweepTrees(store, marks.trees, sweep);
  const objects = sweepObjects(store, marks.objects, sweep);
  const bytes = objects.bytes + sweepVariants(store.root, sweep) + sweepDownloads(store.root, sweep);
  adoptMetadata(store, new Set(staying));
  if (!dryRun) {
    compactJournal(store.root, store.rows);
    sweepUnfinished(store.root, sweep);
  }
  return { images, trees, ...objects, bytes, young: { ...objects.young, images: young.length } };
}

/**
 * Bytes that a collection without grace would free now. Takes no lock, so what a writer is about to name may
 * be counted, too.
 */
export function garbageBytes(store: Store, roots: Roots): number {
  const marks = noMarks();
  markRoots(store, roots, marks);
  const all = { before: Infinity, dryRun: true };
  return (
    sweepObjects(store, marks.objects, all).bytes +
    sweepVariants(store.root, all) +
    sweepDownloads(store.root, { ...all, before: Date.now() - stillComing })
  );
}

/** Milliseconds within which a transfer that goes on has written something. */
const stillComing = 60_000;
