/**
 * What the store keeps for checkouts, all below its 0700 root so that no one reaches a lower layer past its seal:
 *
 *   mnt/erofs/<tree>        mount point of the one shared EROFS mount of a tree
 *   mnt/linked/<key>        tree of hard links that read-only bind mounts show (see base.ts)
 *   mnt/base/<key>          tree of hard links below overlays: unlike the former, paths share no inode by chance
 *   mnt/subvolumes/<key>    btrfs subvolume from which snapshots are made
 *   mnt/volumes/<key>       names the LVM or ZFS volume from which snapshots are made
 *   mnt/whole/<id>          a whole overlay, mounted for the moment it takes to show a subtree of it elsewhere
 *   checkouts/<id>/upper, work
 */
import { mkdirSync } from 'node:fs';
import { fromText, type ByteString } from '../core/bytes.ts';
import { jsonDigest } from '../core/canonical-json.ts';
import { inStore } from '../store/layout.ts';
import { openLock } from '../store/lock.ts';
import { flock } from '../sys/flock.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import type { Store } from '../store/store.ts';
import { formatIdMap } from './idmap.ts';
import type { CheckoutRequest } from './port.ts';

export type Shared = 'erofs' | 'linked' | 'base' | 'subvolumes' | 'volumes' | 'whole';

/** Path of one of them; the directory above it exists on return. */
export function privatePath(store: Store, kind: Shared, name: string): ByteString {
  const parent = `${inStore(store.root, 'mnt')}/${kind}`;
  if (!store.readOnly) mkdirSync(parent, { recursive: true, mode: 0o700 });
  return fromText(`${parent}/${name}`);
}

/** Directory of a writable checkout's upper and work directories; not made here. */
export function upperHome(store: Store, id: string): ByteString {
  return fromText(`${inStore(store.root, 'checkouts')}/${id}`);
}

export type KeyedBy = Pick<CheckoutRow, 'tree' | 'subpath' | 'mtime' | 'idmap' | 'backing'>;

/** `backing`: see {@link CheckoutRow}. */
export type BaseRequest = CheckoutRequest & { readonly backing?: string };

/** Names what one base serves: the tree, and whatever changes the files in it. */
export function baseKey(of: KeyedBy): string {
  const { tree, subpath, mtime, idmap, backing } = of;
  return `${tree}-${jsonDigest({ subpath, mtime, idmap, backing }).slice(0, 16)}`;
}

export function baseKeyOf(request: BaseRequest): string {
  const { tree, subpath, mtime, idmap, backing } = request;
  return baseKey({
    ...{ tree, subpath, mtime },
    ...(idmap === undefined ? {} : { idmap: formatIdMap(idmap) }),
    ...(backing === undefined ? {} : { backing }),
  });
}

/**
 * Make and take away shared things one process at a time. Held for the whole making of a base, so that two checkouts of
 * one image do not both make it.
 */
export async function lockShared(store: Store, signal?: AbortSignal): Promise<Disposable> {
  const lock = openLock(`${inStore(store.root, 'mnt')}/lock`);
  try {
    await flock(lock.fd, 'exclusive', signal === undefined ? {} : { signal });
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}
