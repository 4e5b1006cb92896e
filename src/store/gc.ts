/**
 * Garbage collection. Marks without the lock, so that writers go on; then, under the exclusive lock, marks what
 * came meanwhile and sweeps. Deletion runs in the opposite order of publishing: rows, then manifests, then
 * objects, so a crash half-way leaves only more garbage. Nothing younger (by ctime) than the grace period goes.
 */
import { existsSync, lstatSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import type { EventSink } from '../core/events.ts';
import type { ImageRecord } from '../core/record.ts';
import { looseObjects, treeOf } from './blobs.ts';
import { damagedObjects } from './damaged.ts';
import { adoptMetadata } from './fsck/inodes.ts';
import { inStore, treeFile, variantDirectory } from './layout.ts';
import { lockStore, withFileLock } from './lock.ts';
import { findRoots, type Roots } from './roots.ts';
import type { RowChange } from './rows.ts';
import type { Store } from './store.ts';
import { readTree, treeObjects } from './trees.ts';
import { isCellarError } from '../core/errors.ts';
import { sweepDownloads } from './downloads.ts';
import { sweepVariants } from './sweep-variants.ts';
import { compactJournal } from './journal.ts';
import { referenceKey, type HistoryRow } from './references.ts';

export interface GcOptions {
  /** Milliseconds; younger things stay. */
  readonly grace: number;
  readonly keepHistory: number;
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  readonly events: EventSink;
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

export async function collectGarbage(store: Store, options: GcOptions): Promise<GcResult> {
  const live = new Set<Digest>();
  const marked = new Set<Digest>();
  mark(store, findRoots(store, options), { live, marked });
  using _lock = await lockStore(
    store.root,
    'exclusive',
    options.signal === undefined ? {} : { signal: options.signal },
  );
  const roots = findRoots(store, options);
  mark(store, roots, { live, marked });
  const before = Date.now() - options.grace;
  const rows = planRows(store, roots, before);
  for (const record of rows.young) {
    const tree = treeOf(store, record);
    if (tree !== undefined) markTree(store, tree, { live, marked });
    markLoose(store, record, { live, marked });
  }
  const shared = options.dryRun === true ? new Set<Digest>() : sharedObjects(store, rows.changes, live);
  if (options.dryRun !== true) store.rows.write(rows.changes);
  const trees = sweepTrees(store, marked, before, options);
  const objects = sweepObjects(store, live, before, options);
  const variants = sweepVariants(store.root, before, options);
  const downloads = sweepDownloads(store.root, before, options);
  adoptMetadata(store, shared);
  if (options.dryRun !== true) {
    compactJournal(store.root, store.rows);
    sweepUnfinished(store.root, before);
  }
  const bytes = objects.bytes + variants + downloads;
  return {
    images: rows.images,
    trees,
    ...objects,
    bytes,
    young: { ...objects.young, images: rows.young.length },
  };
}

/**
 * Bytes that a collection without grace would free now. Takes no lock, so what a writer is about to name may
 * be counted, too.
 */
export function garbageBytes(store: Store, roots: Roots): number {
  const live = new Set<Digest>();
  mark(store, roots, { live, marked: new Set<Digest>() });
  const all = { dryRun: true };
  return (
    sweepObjects(store, live, Infinity, all).bytes +
    sweepVariants(store.root, Infinity, all) +
    sweepDownloads(store.root, Date.now() - stillComing, all)
  );
}

/** Milliseconds within which a transfer that goes on has written something. */
const stillComing = 60_000;

/** Objects that stay although a tree that has them goes: their inodes may carry that tree's metadata. */
function sharedObjects(store: Store, changes: readonly RowChange[], live: ReadonlySet<Digest>): Set<Digest> {
  const going = changes.filter(({ kind }) => kind === 'tree').map(({ key }) => key);
  return new Set(going.flatMap((tree) => readable(store, tree).filter((object) => live.has(object))));
}

/** A damaged tree may well go; then nobody can tell which inodes carry its metadata, and fsck will. */
function readable(store: Store, tree: Digest): readonly Digest[] {
  try {
    return objectsOf(store, tree);
  } catch (error) {
    if (isCellarError(error)) return [];
    throw error;
  }
}

interface Marks {
  readonly live: Set<Digest>;
  readonly marked: Set<Digest>;
}

function mark(store: Store, roots: Roots, marks: Marks): void {
  for (const tree of roots.trees) markTree(store, tree, marks);
  for (const image of roots.images) markLoose(store, store.rows.get<ImageRecord>('image', image), marks);
}

function markLoose(store: Store, record: ImageRecord | undefined, { live }: Marks): void {
  if (record !== undefined) for (const object of looseObjects(store, record)) live.add(object);
}

/** A tree whose object list is gone or damaged is marked by its manifest; when that is damaged too, gc refuses to run. */
function markTree(store: Store, tree: Digest, { live, marked }: Marks): void {
  if (marked.has(tree)) return;
  marked.add(tree);
  for (const object of objectsOf(store, tree)) live.add(object);
}

function objectsOf(store: Store, tree: Digest): readonly Digest[] {
  try {
    return treeObjects(store, tree);
  } catch (error) {
    if (!isCellarError(error, 'E_TREE_DAMAGED') && !isCellarError(error, 'E_TREE_MISSING')) throw error;
    return readTree(store, tree).flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  }
}

function planRows(
  store: Store,
  roots: Roots,
  before: number,
): { changes: RowChange[]; images: number; young: ImageRecord[] } {
  const changes: RowChange[] = [];
  const young: ImageRecord[] = [];
  const contents = new Set<Digest>();
  const gone = new Set<Digest>();
  const recent = namedSince(store, before);
  for (const { key, value } of store.rows.list<ImageRecord>('image')) {
    const tree = treeOf(store, value);
    if (roots.images.has(key)) contents.add(value.content);
    else if (value.created * 1000 < before && !recent.has(key)) {
      gone.add(key);
      changes.push({ kind: 'image', key, value: undefined });
    } else {
      young.push(value);
      contents.add(value.content);
      if (tree !== undefined) contents.add(tree);
    }
  }
  const kept = new Set([...roots.trees, ...contents]);
  for (const kind of ['tree', 'blobs', 'unpacked'] as const) {
    for (const { key } of store.rows.list(kind))
      if (!kept.has(key)) changes.push({ kind, key, value: undefined });
  }
  const keptReferences = new Set(store.rows.list('reference').map(({ key }) => key));
  for (const { key, value } of store.rows.list<HistoryRow>('history')) {
    const isOver =
      value.image === undefined &&
      value.at < before &&
      !keptReferences.has(referenceKey(value.reference, value.platform));
    if (isOver || (value.image !== undefined && gone.has(value.image)))
      changes.push({ kind: 'history', key, value: undefined });
  }
  for (const { key, value } of store.rows.list<{ tree: Digest }>('source')) {
    if (!kept.has(value.tree)) changes.push({ kind: 'source', key, value: undefined });
  }
  for (const key of gone) changes.push({ kind: 'used', key, value: undefined });
  return { changes, images: gone.size, young };
}

/** Images that a reference came to, or left, since then: one whose reference was removed a moment ago has its grace. */
function namedSince(store: Store, since: number): Set<Digest> {
  const named = new Set<Digest>();
  // In the order of references, and of each one in that of time.
  let last: HistoryRow | undefined;
  for (const { value } of store.rows.list<HistoryRow>('history')) {
    const isSame = last?.reference === value.reference && last.platform === value.platform;
    if (value.at >= since)
      for (const row of isSame ? [last, value] : [value]) if (row?.image !== undefined) named.add(row.image);
    last = value;
  }
  return named;
}

function sweepTrees(store: Store, marked: ReadonlySet<Digest>, before: number, options: GcOptions): number {
  const dead = new Set<Digest>();
  for (const name of readdirSync(inStore(store.root, 'trees'))) {
    const tree = name.slice(0, 64);
    const file = `${inStore(store.root, 'trees')}/${name}`;
    // An image that is being derived loses its first name when it gets its own.
    if (marked.has(tree) || (changedAt(file) ?? Infinity) >= before) continue;
    dead.add(tree);
    if (options.dryRun !== true) rmSync(file, { force: true });
  }
  return [...dead].filter(
    (tree) => options.dryRun === true || !existsSync(treeFile(store.root, tree, 'dump.zst')),
  ).length;
}

function sweepObjects(
  store: Store,
  live: ReadonlySet<Digest>,
  before: number,
  options: Pick<GcOptions, 'dryRun'>,
): Pick<GcResult, 'objects' | 'bytes'> & { readonly young: Omit<GcResult['young'], 'images'> } {
  let [objects, bytes, youngObjects, youngBytes] = [0, 0, 0, 0];
  const damaged = damagedObjects(store);
  const mended: RowChange[] = [];
  const root = inStore(store.root, 'objects');
  for (const shard of readdirSync(root)) {
    for (const name of readdirSync(`${root}/${shard}`)) {
      const digest = shard + name;
      if (live.has(digest)) continue;
      const file = `${root}/${shard}/${name}`;
      const stat = lstatSync(file, { throwIfNoEntry: false });
      // Whoever only counts holds no lock, and may meet a collection at work.
      if (stat === undefined) continue;
      // A hard-link checkout's pins keep its tree; links made by others only mean that no space is freed.
      const size = stat.nlink > 1 ? 0 : stat.blocks * 512;
      if (stat.ctimeMs >= before) {
        youngObjects++;
        youngBytes += size;
        continue;
      }
      objects++;
      bytes += size;
      if (options.dryRun === true) continue;
      rmSync(variantDirectory(store.root, digest), { recursive: true, force: true });
      unlinkSync(file);
      if (damaged.has(digest)) mended.push({ kind: 'damaged', key: digest, value: undefined });
    }
  }
  if (mended.length > 0) store.rows.write(mended);
  return { objects, bytes, young: { objects: youngObjects, bytes: youngBytes } };
}

/**
 * What `writeFileAtomic` was writing beside a file of the store itself when its process was killed. The lock of writers is
 * held meanwhile: what a living one is writing is none of it, however long that takes.
 */
function sweepUnfinished(root: string, before: number): void {
  const names = readdirSync(root).filter((name) =>
    /^\.(?:journal|cellar\.db\.sum|format)\.[0-9a-f]{12}$/.test(name),
  );
  if (names.length === 0) return;
  withFileLock(inStore(root, 'db.lock'), () => {
    for (const name of names)
      if ((changedAt(`${root}/${name}`) ?? Infinity) < before) rmSync(`${root}/${name}`, { force: true });
  });
}

function changedAt(file: string): number | undefined {
  return lstatSync(file, { throwIfNoEntry: false })?.ctimeMs;
}
