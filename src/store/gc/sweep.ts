/** Taking garbage off the disk, or counting what it takes there. */
import { existsSync, lstatSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { openDirectory } from '../../sys/descriptor.ts';
import { namesIn, removeIfEmpty } from '../../sys/directory.ts';
import { tryFlock } from '../../sys/flock.ts';
import { forgetMended } from '../damaged.ts';
import { downloadsDirectory } from '../downloads.ts';
import { inStore, objectFile, treeFile, variantDirectory } from '../layout.ts';
import { withFileLock } from '../lock.ts';
import type { Store } from '../store.ts';

export interface Sweep {
  /** Milliseconds since the epoch: what changed (ctime) at or after it stays. */
  readonly before: number;
  /** Only count. */
  readonly dryRun?: boolean | undefined;
}

/** Files of all trees but those in `marked`. @returns how many trees went */
export function sweepTrees(
  store: Store,
  marked: ReadonlySet<Digest>,
  { before, dryRun = false }: Sweep,
): number {
  const dead = new Set<Digest>();
  for (const name of readdirSync(inStore(store.root, 'trees'))) {
    const tree = name.slice(0, 64);
    const file = `${inStore(store.root, 'trees')}/${name}`;
    // An image that is being derived loses its first name when it gets its own.
    if (marked.has(tree) || (changedAt(file) ?? Infinity) >= before) continue;
    dead.add(tree);
    if (!dryRun) rmSync(file, { force: true });
  }
  return [...dead].filter((tree) => dryRun || !existsSync(treeFile(store.root, tree, 'dump.zst'))).length;
}

export interface SweptObjects {
  readonly objects: number;
  /** On disk. */
  readonly bytes: number;
  /** Those that are too young. */
  readonly young: { readonly objects: number; readonly bytes: number };
}

/** All objects but those in `marked`, with their variants. */
export function sweepObjects(
  store: Store,
  marked: ReadonlySet<Digest>,
  { before, dryRun = false }: Sweep,
): SweptObjects {
  let [objects, bytes, youngObjects, youngBytes] = [0, 0, 0, 0];
  const root = inStore(store.root, 'objects');
  for (const shard of readdirSync(root)) {
    for (const name of readdirSync(`${root}/${shard}`)) {
      const digest = shard + name;
      if (marked.has(digest)) continue;
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
      if (dryRun) continue;
      rmSync(variantDirectory(store.root, digest), { recursive: true, force: true });
      unlinkSync(file);
    }
  }
  if (!dryRun) forgetGone(store, marked);
  return { objects, bytes, young: { objects: youngObjects, bytes: youngBytes } };
}

/** Notes of damage to objects that nobody names and that are not there, were they swept now or lost before. */
function forgetGone(store: Store, marked: ReadonlySet<Digest>): void {
  forgetMended(
    store,
    (object) =>
      !marked.has(object) &&
      lstatSync(objectFile(store.root, object), { throwIfNoEntry: false }) === undefined,
  );
}

/**
 * Variants that no hard link uses: copies of content the store has anyway, made again when a checkout needs them. They
 * go like everything else that nobody refers to, unless a checkout is making links this moment.
 * @returns bytes on disk that were freed, or would be
 */
export function sweepVariants(root: string, { before, dryRun = false }: Sweep): number {
  const top = inStore(root, 'variants');
  using directory = openDirectory(fromText(top));
  if (!dryRun && !tryFlock(directory.fd, 'exclusive')) return 0;
  let bytes = 0;
  for (const shard of readdirSync(top))
    for (const rest of readdirSync(`${top}/${shard}`)) {
      const home = `${top}/${shard}/${rest}`;
      for (const meta of namesIn(home)) {
        const stat = lstatSync(`${home}/${meta}`, { throwIfNoEntry: false });
        if (stat === undefined || stat.nlink > 1 || stat.ctimeMs >= before) continue;
        bytes += stat.blocks * 512;
        if (!dryRun) unlinkSync(`${home}/${meta}`);
      }
      if (!dryRun) removeIfEmpty(home);
    }
  return bytes;
}

/** Parts of transfers that nobody has gone on with since. @returns bytes on disk that were freed, or would be */
export function sweepDownloads(root: string, { before, dryRun = false }: Sweep): number {
  const directory = downloadsDirectory(root);
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    if (!/\.(?:part|json~?)$/.test(name)) continue;
    const file = `${directory}/${name}`;
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.ctimeMs >= before) continue;
    bytes += stat.blocks * 512;
    // Its transfer may end this moment: no lock keeps it from that.
    if (!dryRun) rmSync(file, { force: true });
  }
  return bytes;
}

/**
 * What `writeFileAtomic` was writing beside a file of the store itself when its process was killed. The lock of writers is
 * held meanwhile: what a living one is writing is not among it, however long that takes.
 */
export function sweepUnfinished(root: string, { before }: Sweep): void {
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
