/**
 * What the methods that make volumes share. A base volume is filled with the tree once; every checkout after that is a
 * copy-on-write copy of it, mounted at the directory. Volumes have random names of ours, and each is noted before it is
 * made, so that a checkout that fails or dies takes them along.
 */
import { closeSync, constants, mkdirSync, openSync, rmdirSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import { baseVolumeName, volumeName } from '../store/checkout-mounts.ts';
import { isErrno } from '../sys/errno.ts';
import { makePrivate } from '../sys/mount.ts';
import { unmount } from '../sys/mount-api.ts';
import { findProgram } from '../sys/programs.ts';
import { syncfs } from '../sys/syncfs.ts';
import { mountVolume, removeVolume, type Volume } from '../sys/volume.ts';
import { parentPath } from '../tree/entry.ts';
import { baseVolume, ensureBase, putBaseVolume } from './base.ts';
import { materializeAt } from './beside.ts';
import { no, yes, type CheckoutMethod, type CheckoutRequest, type Skipped } from './port.ts';
import { lockShared } from './private.ts';
import { checkTarget, makeMountPoint } from './target.ts';
import { asUnavailable } from './unavailable.ts';
import { unmountCheckout } from './unmount.ts';

/** A place where volumes are made, known to exist. */
export interface Volumes {
  /** Canonical: two requests with the same words can share a base. */
  readonly backing: string;
  named(name: string): Volume;
  /** An empty file system on an absent volume. */
  create(volume: Volume): void;
  /** After it was filled and unmounted: nothing writes to it any more. */
  seal(volume: Volume): void;
  /** A writable copy of a sealed volume, held to the quota. */
  copy(base: Volume, to: Volume): void;
}

export interface VolumeSpec {
  readonly name: 'lvm' | 'zfs';
  readonly programs: readonly string[];
  /** @throws E_USAGE for words it does not understand, E_BACKING_MISSING */
  readonly open: (request: Pick<CheckoutRequest, 'place' | 'quota'>) => Volumes;
}

export function volumeMethod({ name, programs, open }: VolumeSpec): CheckoutMethod {
  return {
    name,
    hasQuota: true,
    available({ store }) {
      if (!store.privileged) return no('making volumes and mounting them needs root');
      const missing = programs.find((program) => findProgram(program) === undefined);
      return missing === undefined ? yes : no(`the program ${missing} is not installed`);
    },
    rehearse(request) {
      open(request);
    },
    async checkout(request) {
      const { store, id, target, writable, signal, note } = request;
      const volumes = open(request);
      const { backing } = volumes;
      const base = await ensureBase(
        { ...request, backing },
        'volumes',
        async (tree) => await fill(request, volumes, tree),
      );
      const from = baseVolume(base);
      if (from === undefined) throw new Error(`${base.path} is on no volume`);
      using _lock = await lockShared(store, signal);
      checkTarget(target);
      const volume = volumes.named(volumeName(id));
      note({ undo: 'volume', volume });
      volumes.copy(from, volume);
      const madeTarget = makeMountPoint(request);
      note({ undo: 'unmount', path: target });
      await asUnavailable(name, () => mountVolume(volume, target, { readOnly: !writable }));
      makePrivate(target);
      return { skipped: base.skipped, madeTarget, volume, backing };
    },
    unmount(_store, row, options) {
      unmountCheckout(row, options);
    },
    async remove(_store, row) {
      const volume = volumeOf(row);
      try {
        removeVolume(volume);
      } catch (cause) {
        if (!isCellarError(cause, 'E_VOLUME_FAILED') || !/in use|busy/i.test(cause.message)) throw cause;
        throw new CellarError('E_CHECKOUT_BUSY', {
          details: { path: toText(row.path) },
          hint: 'a process still has files of it open; release it again when that has ended',
          cause,
        });
      }
    },
    async remount(_store, row) {
      mountVolume(volumeOf(row), row.path, { readOnly: !row.writable });
      makePrivate(row.path);
    },
  };
}

/** The tree on a volume of its own, mounted at `tree` only while it is written. */
async function fill(request: CheckoutRequest, volumes: Volumes, tree: ByteString): Promise<Skipped> {
  const { id, note } = request;
  const volume = volumes.named(baseVolumeName(id));
  note({ undo: 'volume', volume, while: parentPath(tree) });
  volumes.create(volume);
  mkdirSync(toBytes(tree), 0o700);
  note({ undo: 'unmount', path: tree });
  await asUnavailable(volume.manager, () => mountVolume(volume, tree));
  makePrivate(tree);
  const skipped = await write(request, tree);
  unmount(tree);
  volumes.seal(volume);
  putBaseVolume(tree, volume);
  return skipped;
}

async function write(request: CheckoutRequest, tree: ByteString): Promise<Skipped> {
  // Opened first, so that it reports what fails between now and the sync: a pool that ran full, for instance.
  const fd = openSync(toBytes(tree), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    removeLostAndFound(tree);
    const skipped = await materializeAt(request, tree, { content: 'copy', rootExists: true });
    syncfs(fd);
    return skipped;
  } finally {
    closeSync(fd);
  }
}

/** mke2fs makes it, and no tree has asked for it. */
function removeLostAndFound(tree: ByteString): void {
  try {
    rmdirSync(toBytes(`${tree}/lost+found`));
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

function volumeOf(row: CheckoutRow): Volume {
  if (row.volume === undefined) throw new Error(`checkout ${row.id} is on record without its volume`);
  return row.volume;
}
