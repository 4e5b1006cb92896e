/** Copies that cost no space and no reading: FICLONE shares the extents of two files (XFS, btrfs, bcachefs, ZFS). */
import { errnos } from './errno.ts';
import { lastErrno, libc, sysError } from './libc.ts';

/** `_IOW(0x94, 9, int)` of linux/fs.h; see ioctl_ficlone(2). */
const FICLONE = 0x40049409;

/**
 * Makes all of `dstFd` share the content of `srcFd`, copy on write. False where the file systems cannot do that
 * (another file system, no reflinks); then nothing was changed.
 * @throws SysError for real failures: ENOSPC, EDQUOT, EIO, EPERM (immutable destination)
 */
export function reflink(srcFd: number, dstFd: number): boolean {
  if (libc().ioctl(dstFd, FICLONE, srcFd) === 0) return true;
  if (cannotShare.has(lastErrno())) return false;
  throw sysError('ioctl(FICLONE)');
}

const cannotShare: ReadonlySet<number> = new Set([
  errnos.EOPNOTSUPP,
  errnos.EXDEV,
  errnos.EINVAL,
  errnos.ENOTTY,
  errnos.ENOSYS,
]);
