/**
 * The one EROFS mount of a tree that all its composefs checkouts share. It is made by the first of them, after the
 * tree's objects were looked over; while it lives, later checkouts cost two mounts and no look at any object. (File-backed
 * EROFS mounts, one per checkout, have upset ext4; loop devices are few. Hence one loop mount for all.)
 */
import { closeSync, existsSync, mkdirSync, openSync, readSync } from 'node:fs';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { inStore, treeFile } from '../store/layout.ts';
import { listCheckouts } from '../store/checkouts.ts';
import type { Store } from '../store/store.ts';
import { ensureErofs } from '../store/trees.ts';
import { namesIn, removeIfEmpty } from '../sys/directory.ts';
import { findLoop } from '../sys/loop.ts';
import { makePrivate, mountErofs } from '../sys/mount.ts';
import { unmount } from '../sys/mount-api.ts';
import { mountInfo } from '../sys/mountinfo.ts';
import type { CheckoutRequest } from './port.ts';
import { privatePath } from './private.ts';
import type { VerifyOptions } from './verify/tree.ts';

/** Where the tree's shared mount is. Call it before {@link lockShared}: looking objects over may take a second. */
export async function prepareErofs(store: Store, tree: Digest, options: VerifyOptions): Promise<void> {
  if (options.verify !== 'always' && isLive(privatePath(store, 'erofs', tree))) return;
  const { verifyTree } = await import('./verify/tree.ts');
  await verifyTree(store, tree, options);
}

/** The image is written once for each tree. Not while {@link lockShared} is held. @throws E_STORE_FULL */
export async function roomForErofs({
  store,
  tree,
  treeRow,
  room,
}: Pick<CheckoutRequest, 'store' | 'tree' | 'treeRow' | 'room'>): Promise<void> {
  if (!existsSync(treeFile(store.root, tree, 'erofs'))) await room(treeRow.files * bytesOfInode);
}

/** An inode, its name and the path of its object, with some to spare. */
const bytesOfInode = 320;

/** Path of the shared mount, mounted now if it is not. Holding {@link lockShared}. */
export async function shareErofs(store: Store, tree: Digest): Promise<ByteString> {
  const point = privatePath(store, 'erofs', tree);
  if (isLive(point)) return point;
  const image = fromText(await ensureErofs(store, tree));
  mkdirSync(toBytes(point), { recursive: true, mode: 0o700 });
  // Another mount namespace may have it mounted: the same device gives the same file system.
  const device = findLoop(image);
  mountErofs({ ...(device === undefined ? { image } : { device }), target: point, noacl: !hasAcls(image) });
  makePrivate(point);
  return point;
}

/**
 * Unmount the shared mounts of trees that no checkout shows, and what was mounted only for a moment by somebody who was
 * killed in it. Holding {@link lockShared}, as whoever mounts one does.
 */
export function dropUnusedErofs(store: Store, leaving?: string): void {
  const used = new Set<string>();
  for (const row of listCheckouts(store))
    if (row.id !== leaving && row.method === 'composefs') used.add(row.tree);
  const home = `${inStore(store.root, 'mnt')}/erofs`;
  const mounts = new Set(mountInfo().map(({ mountPoint }) => mountPoint));
  for (const name of namesIn(home)) {
    const point = fromText(`${home}/${name}`);
    if (!used.has(name) && mounts.has(point)) unmount(point, { detach: true });
  }
  const momentary = `${inStore(store.root, 'mnt')}/whole`;
  for (const name of namesIn(momentary)) {
    const point = fromText(`${momentary}/${name}`);
    if (mounts.has(point)) unmount(point, { detach: true });
    removeIfEmpty(`${momentary}/${name}`);
  }
}

function isLive(point: ByteString): boolean {
  return mountInfo().some(({ mountPoint, type }) => mountPoint === point && type === 'erofs');
}

/** Bit 0 of the flags in the composefs header, which is set when any inode has an ACL. */
function hasAcls(image: ByteString): boolean {
  const fd = openSync(toBytes(image), 'r');
  try {
    const header = Buffer.alloc(32);
    readSync(fd, header, 0, header.length, 0);
    return (header.readUInt32LE(8) & 1) !== 0;
  } finally {
    closeSync(fd);
  }
}
