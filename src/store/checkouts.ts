/**
 * Checkouts on record. A row pins its tree, says how to mount it again after a reboot, and is what makes a checkout
 * exist: it is written last. Until then every step is noted in the lock file of a staging directory, so that
 * whoever finds that file without its owner can undo the steps of a checkout that never got its row.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, rmdirSync } from 'node:fs';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno, type ErrnoName } from '../sys/errno.ts';
import { mountInfo, mountsAt, parseMountInfo, type MountInfo } from '../sys/mountinfo.ts';
import { unmount } from '../sys/mount-api.ts';
import { removeVolume, type Volume } from '../sys/volume.ts';
import { removeTree } from './remove-tree.ts';
import type { Rows } from './rows.ts';
import type { Store } from './store.ts';

export interface CheckoutRow {
  /** 16 hex digits; key of the row and name of what the store keeps for it. */
  readonly id: string;
  /** Absolute, without symlinks. */
  readonly path: ByteString;
  /** As it was asked for; absent when it was named by digest. */
  readonly reference?: string;
  readonly image?: Digest;
  readonly tree: Digest;
  readonly method: string;
  readonly writable: boolean;
  /** Subtree shown; `/` for all. */
  readonly subpath: ByteString;
  readonly mtime: 'keep' | 'clamp';
  /** `CONTAINER:HOST:LENGTH`. */
  readonly idmap?: string;
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** Whether owners, devices and trusted xattrs were set; if not, who made it. */
  readonly privileged: boolean;
  readonly uid: number;
  readonly gid: number;
  /** The directory was made for the checkout and goes with it. */
  readonly madeTarget: boolean;
  /** Of the directory itself, for methods that write files there: see {@link identityOf}. Mounts have none. */
  readonly identity?: string;
  /** Release has begun: nothing of it is to be mounted again, and its upper may be half gone. */
  readonly releasing?: true;
  /** For methods that keep it on a volume of its own. */
  readonly volume?: Volume;
  /** What beside tree and projection the base of that volume was made for, in the method's own words. */
  readonly backing?: string;
  /** Bytes that all of it may take. */
  readonly quota?: number;
  /** An {@link inodeMoment}: all that had been written by then is in an image. */
  readonly committed?: number;
  /** Name of the target that it is a version of. */
  readonly deployment?: string;
  /** Where a deployment's record lies in it, and the tree without the record where `tree` has it: no change of anybody's. */
  readonly record?: { readonly path: ByteString; readonly of?: Digest };
}

export function listCheckouts(store: Store): CheckoutRow[] {
  return store.rows.list<CheckoutRow>('checkout').map(({ value }) => value);
}

/** By its path, which must be absolute and without symlinks. Of two, one is a release that was cut short. */
export function findCheckout(store: Store, path: ByteString): CheckoutRow | undefined {
  const found = listCheckouts(store).filter((row) => row.path === path);
  return found.find(({ releasing }) => releasing !== true) ?? found[0];
}

export function putCheckout(store: Store, row: CheckoutRow): void {
  store.rows.write([{ kind: 'checkout', key: row.id, value: row }]);
}

export function deleteCheckout(store: Store, id: string): void {
  store.rows.write([{ kind: 'checkout', key: id, value: undefined }]);
}

/** What mountinfo shows as the source of an overlay of this checkout. */
export function mountSource(id: string): ByteString {
  return `cellar:${id}`;
}

/** Last part of the name of a checkout's volume, and so of its mount's source. */
export function volumeName(id: string): string {
  return `cellar-${id}`;
}

/** Of the volume that a base lies on. `id` is that of the checkout it was first made for. */
export function baseVolumeName(id: string): string {
  return `cellar-base-${id}`;
}

/**
 * Mounts that belong to a checkout: by their source, wherever they are; those of hard links and of fuse-overlayfs, which
 * carry no name of ours, by the place where the checkout is.
 */
export function mountsOf(
  { id, path }: Pick<CheckoutRow, 'id' | 'path'>,
  mounts: readonly MountInfo[] = mountInfo(),
): MountInfo[] {
  return mounts.filter(
    ({ source, root, type, mountPoint }) =>
      source === mountSource(id) ||
      source.endsWith(`/${volumeName(id)}`) ||
      source.endsWith(`/${baseVolumeName(id)}`) ||
      (mountPoint === path && (type === 'fuse.fuse-overlayfs' || root.includes('/mnt/linked/'))),
  );
}

/**
 * An unmounted checkout shows an empty directory, or what lies below; storing that would lose everything. What has no identity is
 * a mount: an overlay, or a volume of its own.
 * @throws E_CHECKOUT_UNMOUNTED
 */
export function requireMounted(row: CheckoutRow): void {
  if (row.identity !== undefined) return;
  const top = mountsAt(row.path).at(-1);
  if (top !== undefined && mountsOf(row, [top]).length > 0) return;
  throw new CellarError('E_CHECKOUT_UNMOUNTED', { details: { path: toText(row.path) } });
}

/**
 * Who still sees the checkout mounted: `podman (4711)`, one process of each other mount namespace, and here the places where
 * it was bound to. Programs that live in one of their
 * own for long (rootless podman, services with PrivateTmp=) keep what was mounted when they began.
 */
export function seenBy(row: CheckoutRow): string[] {
  const own = readlinkSync('/proc/self/ns/mnt');
  return namespaces().flatMap(({ pid, mounts, namespace }) => {
    const seen = mountsOf(row, parseMountInfo(mounts));
    if (namespace === own) return seen.map(({ mountPoint }) => `the mount ${toText(mountPoint)}`);
    return seen.length > 0 ? [`${commandOf(pid)} (${pid})`] : [];
  });
}

/** The text of mountinfo of every mount namespace that a process we may look at lives in. */
export function allMountInfo(): string {
  return namespaces()
    .map(({ mounts }) => mounts)
    .join('');
}

interface Namespace {
  readonly namespace: string;
  /** Of a process that lives in it. */
  readonly pid: string;
  readonly mounts: string;
}

function namespaces(): Namespace[] {
  const seen = new Map<string, Namespace>();
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const namespace = readlinkSync(`/proc/${pid}/ns/mnt`);
      if (!seen.has(namespace))
        seen.set(namespace, { namespace, pid, mounts: readFileSync(`/proc/${pid}/mountinfo`, 'latin1') });
    } catch {
      // It ended meanwhile, or is not ours to look at.
    }
  }
  return [...seen.values()];
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a process that ended';
  }
}

/** One thing a checkout has done, and so what undoes it. */
export type UndoStep =
  | { readonly undo: 'unmount' | 'rmdir'; readonly path: ByteString }
  /** A path with a random name that only this checkout can have made. */
  | { readonly undo: 'remove'; readonly path: ByteString }
  /** One with a random name that only this checkout can have made; a base's only while the directory of its making is there. */
  | { readonly undo: 'volume'; readonly volume: Volume; readonly while?: ByteString }
  /** A path with the user's name for it: removed only while it is the very directory that was put there. */
  | { readonly undo: 'remove-if'; readonly path: ByteString; readonly identity: string }
  /** A checkout that its maker alone used, on record or not: mounts, changes and row go. `uppers` is where changes lie. */
  | { readonly undo: 'abandon'; readonly path: ByteString; readonly uppers: string };

/** Tells a directory from any that comes after it at the same path. (Device numbers change with a reboot.) */
export function identityOf(path: ByteString): string {
  const { ino, birthtimeNs } = lstatSync(toBytes(path), { bigint: true });
  return `${ino} ${birthtimeNs}`;
}

/** Newest first. What cannot be undone does not keep the rest from being undone; the first error is thrown at the end. */
export function undoSteps(id: string, steps: readonly UndoStep[]): void {
  const errors: unknown[] = [];
  for (const step of steps.toReversed()) {
    try {
      if (step.undo !== 'abandon') undoStep(id, step);
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

/** For the staging sweep: a line that a dead process left. */
export function undoLine(rows: Pick<Rows, 'get' | 'list' | 'write'>, line: string): void {
  const { id, step } = JSON.parse(line) as { id: string; step: UndoStep };
  if (step.undo === 'abandon') abandonCheckout(rows, step);
  else if (rows.get('checkout', id) === undefined) undoSteps(id, [step]);
}

export function abandonCheckout(
  rows: Pick<Rows, 'list' | 'write'>,
  { path, uppers }: { readonly path: ByteString; readonly uppers: string },
): void {
  for (const { mountPoint } of mountsAt(path, { below: true }).toReversed())
    unmount(mountPoint, { detach: true });
  for (const { key, value } of rows.list<CheckoutRow>('checkout')) {
    if (value.path !== path) continue;
    removeTree(`${fromText(uppers)}/${key}`);
    if (value.volume !== undefined) removeVolume(value.volume);
    rows.write([{ kind: 'checkout', key, value: undefined }]);
  }
  removeTree(path);
}

function undoStep(id: string, step: Exclude<UndoStep, { undo: 'abandon' }>): void {
  switch (step.undo) {
    case 'unmount':
      for (const mount of mountsOf({ id, path: step.path }).filter(
        ({ mountPoint }) => mountPoint === step.path,
      ))
        unmount(mount.mountPoint, { detach: true });
      return;
    case 'rmdir':
      return ignoring(['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EBUSY'], () => rmdirSync(toBytes(step.path)));
    case 'remove':
      return removeTree(step.path);
    case 'volume':
      if (step.while === undefined || lstatSync(toBytes(step.while), { throwIfNoEntry: false }) !== undefined)
        removeVolume(step.volume);
      return;
    case 'remove-if':
      return ignoring(['ENOENT'], () => {
        if (identityOf(step.path) === step.identity) removeTree(step.path);
      });
  }
}

function ignoring(codes: readonly ErrnoName[], work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isErrno(error, ...codes)) throw error;
  }
}
