/** The writable layer of a checkout: a new upper whose root looks like the root it will hide. */
import { constants, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import type { Store } from '../store/store.ts';
import { isUnchangedSince } from '../sys/inode-clock.ts';
import { lstatFull } from '../sys/stat.ts';
import { listXattrs } from '../sys/xattr.ts';
import { setPathMetadata } from './materialize/metadata.ts';
import type { CheckoutRequest } from './port.ts';
import { upperHome } from './private.ts';

export interface Upper {
  readonly upper: ByteString;
  readonly work: ByteString;
}

export function upperOf(store: Store, id: string): Upper {
  const home = upperHome(store, id);
  return { upper: `${home}/upper`, work: `${home}/work` };
}

/** `like` is the root of the lowest layer as the checkout will show it, owners mapped. */
export function makeUpper({ store, id, note }: CheckoutRequest, like: ByteString): Upper {
  const home = upperHome(store, id);
  const { upper, work } = upperOf(store, id);
  note({ undo: 'remove', path: home });
  for (const path of [home, upper, work]) mkdirSync(toBytes(path), 0o700);
  const { uid, gid, perm, mtime, mtimeNsec } = lstatFull(like);
  const xattrs = listXattrs(like).filter(([name]) => !/^(?:trusted|user)\.overlay\./.test(name));
  const own = lstatFull(upper);
  const rights = { privileged: store.privileged, uid: own.uid, gid: own.gid, umask: 0 };
  const skipped = { owners: 0, devices: 0, xattrs: 0 };
  setPathMetadata(
    upper,
    { mode: perm, uid, gid, mtime, mtimeNsec, xattrs },
    { rights, symlink: false, skipped },
  );
  return { upper, work };
}

export interface ChangesSince {
  /** The inodeMoment of the last commit: what has not changed since then is in its image. */
  readonly committed?: number | undefined;
  /** A path that we wrote ourselves; directories above it count as ours where nothing else lies in them. */
  readonly ours?: ByteString | undefined;
}

/** Whether anything was written that no commit has taken; overlayfs puts only changes into an upper. */
export function hasChanges(store: Store, id: string, { committed, ours }: ChangesSince): boolean {
  const { upper } = upperOf(store, id);
  if (lstatSync(toBytes(upper), { throwIfNoEntry: false }) === undefined) return false;
  if (committed === undefined) return holdsMore(upper, ours?.slice(1).split('/') ?? []);
  return changedSince(upper, committed);
}

/** More than this one path, by its parts. */
function holdsMore(directory: ByteString, [part, ...rest]: readonly ByteString[]): boolean {
  const names = readdirSync(toBytes(directory), { encoding: 'latin1', withFileTypes: true });
  return names.some((found) => {
    if (found.name !== part) return true;
    if (rest.length === 0) return false;
    return !found.isDirectory() || holdsMore(`${directory}/${part}`, rest);
  });
}

function changedSince(path: ByteString, moment: number): boolean {
  const stat = lstatFull(path);
  if (!isUnchangedSince(moment, stat)) return true;
  if (stat.type !== constants.S_IFDIR) return false;
  return readdirSync(toBytes(path), 'latin1').some((name) => changedSince(`${path}/${name}`, moment));
}
