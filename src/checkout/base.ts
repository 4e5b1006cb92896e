/**
 * Bases: the tree written once inside the store, for the methods that show it sealed, put an upper over it or take
 * snapshots of it. A base never changes; a new version of an image gets a base of its own, so nothing moves under a live
 * checkout. It is kept until gc finds that nobody needs it, because making it is all that such a checkout costs.
 *
 *   mnt/<kind>/<key>/tree    the files
 *   mnt/<kind>/<key>/volume  where they are instead, for bases on volumes; as JSON
 *   mnt/<kind>/<key>/at      milliseconds since the epoch: when it was whole
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { isCellarError } from '../core/errors.ts';
import { inStore } from '../store/layout.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { allMountInfo } from '../store/checkout-mounts.ts';
import { refuseDamaged } from '../store/damaged.ts';
import { removeTree } from '../store/remove-tree.ts';
import type { Store } from '../store/store.ts';
import { treeObjects } from '../store/trees.ts';
import { openDirectory } from '../sys/descriptor.ts';
import { namesIn } from '../sys/directory.ts';
import { isErrno } from '../sys/errno.ts';
import { tryFlock } from '../sys/flock.ts';
import { lstatFull } from '../sys/stat.ts';
import { syncfs } from '../sys/syncfs.ts';
import { removeVolume, volumeExists, type Volume } from '../sys/volume.ts';
import { parentPath } from '../tree/entry.ts';
import { baseKey, baseKeyOf, lockShared, privatePath, type BaseRequest, type KeyedBy } from './private.ts';
import { nothingSkipped, type CheckoutRequest, type Skipped } from './port.ts';
import { verifyTree } from './verify/tree.ts';

export interface Base {
  /** Root of its files. */
  readonly path: ByteString;
  readonly skipped: Skipped;
}

/** Kinds of bases, by the directory they are in, and the methods whose checkouts stand on them. */
const users = {
  linked: new Set(['hardlink']),
  base: new Set(['overlay', 'fuse-overlayfs']),
  subvolumes: new Set(['btrfs']),
  volumes: new Set(['lvm', 'zfs']),
} as const;

export type BaseKind = keyof typeof users;

/**
 * Use the base there is, or have `make` write one to the absent path it is given. The base is held for the request, so
 * that gc leaves it alone until the checkout is on record.
 */
export async function ensureBase(
  request: BaseRequest,
  kind: BaseKind,
  make: (tree: ByteString) => Promise<Skipped>,
): Promise<Base> {
  const { store, tree, id, verify, signal } = request;
  const home = privatePath(store, kind, baseKeyOf(request));
  const base = { path: `${home}/tree`, skipped: nothingSkipped };
  refuseDamaged(store, () => treeObjects(store, tree));
  if (verify === 'always') await verifyTree(store, tree, request);
  using _lock = await lockShared(store, signal);
  if (isReusable(request, kind, home)) {
    request.keep(holdBase(home));
    return base;
  }
  const making = `${home}.${id}`;
  request.note({ undo: 'remove', path: making });
  mkdirSync(toBytes(making), 0o700);
  const skipped = await make(`${making}/tree`);
  {
    using made = openDirectory(making);
    syncfs(made.fd);
  }
  writeFileSync(toBytes(`${making}/at`), String(Date.now()), { mode: 0o600 });
  renameSync(toBytes(making), toBytes(home));
  request.keep(holdBase(home));
  return { ...base, skipped };
}

/** Root of the files of the base that a recorded checkout stands on. */
export function baseOf(store: Store, kind: BaseKind, row: KeyedBy): ByteString {
  return `${privatePath(store, kind, baseKey(row))}/tree`;
}

/** Note, in the base that is being made at `tree`, that its files are on this volume. */
export function putBaseVolume(tree: ByteString, volume: Volume): void {
  writeFileSync(toBytes(volumeFile(parentPath(tree))), JSON.stringify(volume), { mode: 0o600 });
}

/** The volume that the files of a base are on; absent for those in the store itself. */
export function baseVolume({ path }: Pick<Base, 'path'>): Volume | undefined {
  return volumeIn(parentPath(path));
}

/** Take away the bases that no checkout stands on: none on record, none in the making, and no mount anywhere. */
export async function dropUnusedBases(store: Store, signal?: AbortSignal): Promise<void> {
  using _lock = await lockShared(store, signal);
  const mounted = allMountInfo();
  for (const kind of Object.keys(users) as BaseKind[]) {
    for (const name of namesIn(`${inStore(store.root, 'mnt')}/${kind}`)) {
      // What is being made has a dot in its name, and is undone by whoever finds its maker dead.
      if (name.includes('.') || isOnRecord(store, kind, name) || mounted.includes(name)) continue;
      const home = privatePath(store, kind, name);
      using base = openDirectory(home);
      if (tryFlock(base.fd, 'exclusive')) dropIfPossible(home);
    }
  }
}

/**
 * A base that shares inodes with the store is reusable while nothing has touched them: whatever writes to an inode moves
 * its ctime, and so does a new link to it, which costs a rebuild. Under a live checkout it is taken as it is.
 */
function isReusable({ store }: CheckoutRequest, kind: BaseKind, home: ByteString): boolean {
  const at = madeAt(home);
  if (at === undefined) {
    // Whoever took it away was killed in the middle, so nobody uses it; what is left of it is in the way of a new one.
    if (lstatSync(toBytes(home), { throwIfNoEntry: false }) !== undefined) drop(home);
    return false;
  }
  if (kind === 'volumes') {
    const volume = volumeIn(home);
    if (volume !== undefined && volumeExists(volume)) return true;
    drop(home);
    return false;
  }
  if (kind === 'subvolumes' || isOnRecord(store, kind, home.slice(home.lastIndexOf('/') + 1))) return true;
  if (!changedSince(`${home}/tree`, at)) return true;
  using base = openDirectory(home);
  // Another checkout of it is about to be put on record.
  if (!tryFlock(base.fd, 'exclusive')) return true;
  drop(home);
  return false;
}

function isOnRecord(store: Store, kind: BaseKind, key: string): boolean {
  return listCheckouts(store).some((row) => users[kind].has(row.method) && baseKey(row) === key);
}

function madeAt(home: ByteString): number | undefined {
  const text = readIfThere(`${home}/at`);
  return text === undefined ? undefined : Number(text);
}

function volumeIn(home: ByteString): Volume | undefined {
  const text = readIfThere(volumeFile(home));
  return text === undefined ? undefined : (JSON.parse(text) as Volume);
}

function volumeFile(home: ByteString): ByteString {
  return `${home}/volume`;
}

function readIfThere(file: ByteString): string | undefined {
  try {
    return readFileSync(toBytes(file), 'latin1');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function changedSince(directory: ByteString, at: number): boolean {
  for (const entry of readdirSync(toBytes(directory), { encoding: 'latin1', withFileTypes: true })) {
    const path = `${directory}/${entry.name}`;
    if (entry.isDirectory()) {
      if (changedSince(path, at)) return true;
    } else if (entry.isFile()) {
      const { ctime, ctimeNsec } = lstatFull(path);
      if (ctime * 1000 + ctimeNsec / 1e6 > at) return true;
    }
  }
  return false;
}

/** A volume whose group is not there now, or that others made snapshots of, is left to a later time. */
function dropIfPossible(home: ByteString): void {
  try {
    drop(home);
  } catch (error) {
    if (!isCellarError(error, 'E_VOLUME_FAILED')) throw error;
  }
}

function drop(home: ByteString): void {
  const volume = volumeIn(home);
  if (volume !== undefined) removeVolume(volume);
  // `at` goes first: without it a base half removed is never used. A subvolume goes in one step by its own path.
  removeTree(`${home}/at`);
  removeTree(`${home}/tree`);
  removeTree(home);
}

/** Keeps the base from being dropped. Held under the lock that dropping takes too, so it is never refused. */
function holdBase(home: ByteString): Disposable {
  const base = openDirectory(home);
  tryFlock(base.fd, 'shared');
  return base;
}
