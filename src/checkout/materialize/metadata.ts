/**
 * Setting an inode's metadata so that nothing undoes what was set before: owner first (chown clears setuid and
 * capabilities), then mode, then xattrs (an ACL refines the mode), and the time last.
 */
import { chmodSync, fchmodSync, fchownSync, lchownSync } from 'node:fs';
import { toBytes, type ByteString } from '../../core/bytes.ts';
import { isErrno } from '../../sys/errno.ts';
import { setTimes } from '../../sys/metadata.ts';
import { setXattr, setXattrFd } from '../../sys/xattr.ts';
import type { InodeMeta } from '../../tree/entry.ts';

/** What the kernel gives to what we create, and what we may set. */
export interface Rights {
  readonly privileged: boolean;
  /** Owner of files as they are created. */
  readonly uid: number;
  readonly gid: number;
  readonly umask: number;
}

export interface SkippedCounts extends Record<string, number> {
  owners: number;
  devices: number;
  xattrs: number;
}

/** For a regular file that we hold open and created with `createdMode` (before the umask). */
export function setFileMetadata(
  fd: number,
  meta: InodeMeta,
  how: { rights: Rights; createdMode: number; skipped: SkippedCounts },
): void {
  const { rights, skipped } = how;
  let chowned = false;
  if (meta.uid !== rights.uid || meta.gid !== rights.gid) {
    chowned = rights.privileged;
    if (chowned) fchownSync(fd, meta.uid, meta.gid);
    else skipped.owners++;
  }
  if (chowned || (how.createdMode & ~rights.umask) !== meta.mode) fchmodSync(fd, meta.mode);
  for (const [name, value] of meta.xattrs) {
    if (!mayHold(name, rights)) skipped.xattrs++;
    else trySet(() => setXattrFd(fd, name, value), value, skipped);
  }
  setTimes(fd, meta);
}

/** For anything else, by path; never follows a symlink. */
export function setPathMetadata(
  path: ByteString,
  meta: InodeMeta,
  how: { rights: Rights; symlink: boolean; skipped: SkippedCounts },
): void {
  const { rights, skipped } = how;
  if (meta.uid !== rights.uid || meta.gid !== rights.gid) {
    if (rights.privileged) lchownSync(toBytes(path), meta.uid, meta.gid);
    else skipped.owners++;
  }
  if (!how.symlink) chmodSync(toBytes(path), meta.mode);
  for (const [name, value] of meta.xattrs) {
    if (!mayHold(name, rights)) skipped.xattrs++;
    else trySet(() => setXattr(path, name, value), value, skipped);
  }
  setTimes(path, meta);
}

/** Names in `trusted.` and `security.` are root's; ACLs (`system.`) and `user.` are the owner's. */
export function mayHold(name: ByteString, rights: { privileged: boolean }): boolean {
  return rights.privileged || name.startsWith('user.') || name.startsWith('system.posix_acl_');
}

/** ext4 says ENOSPC for a value larger than it can hold, not only when the disk is full. */
const largeValue = 2048;

function trySet(set: () => void, value: ByteString, skipped: SkippedCounts): void {
  try {
    set();
  } catch (error) {
    const cannotHold = isErrno(error, 'EOPNOTSUPP', 'E2BIG', 'ERANGE', 'EPERM', 'EINVAL');
    if (!cannotHold && !(isErrno(error, 'ENOSPC') && value.length >= largeValue)) throw error;
    skipped.xattrs++;
  }
}
