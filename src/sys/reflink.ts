/**
 * Copies between open files without moving bytes through this process: FICLONE shares the extents (XFS, btrfs, bcachefs,
 * ZFS), copy_file_range(2) copies in the kernel, and plain reads and writes serve where neither does.
 */
import { readSync, writeSync } from 'node:fs';
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

/**
 * Copies a range to the same offset of another file and returns the bytes copied, fewer only at the end of the source.
 * Neither file's position moves. It blocks the thread: call it in slices or in a worker for large files.
 */
export function copyRange(srcFd: number, dstFd: number, offset: number, length: number): number {
  let copied = 0;
  while (copied < length) {
    setOffset(offset + copied);
    const step = libc().copy_file_range(srcFd, inOffset, dstFd, outOffset, length - copied, 0);
    if (step > 0) copied += step;
    else if (step === 0 || cannotCopy.has(lastErrno())) break;
    else if (lastErrno() !== errnos.EINTR) throw sysError('copy_file_range');
  }
  // Zero may be the end of the file or a file system (procfs, some FUSE) that only answers reads: reading tells.
  return copied === length ? copied : copied + readAndWrite(srcFd, dstFd, offset + copied, length - copied);
}

const cannotShare: ReadonlySet<number> = new Set([
  errnos.EOPNOTSUPP,
  errnos.EXDEV,
  errnos.EINVAL,
  errnos.ENOTTY,
  errnos.ENOSYS,
]);

/** EPERM comes from some seccomp profiles; a destination that is truly immutable fails again on write. */
const cannotCopy: ReadonlySet<number> = new Set([...cannotShare, errnos.EPERM]);

/** Two `off_t`, in and out; the kernel advances them. */
const inOffset = new Uint8Array(8);
const outOffset = new Uint8Array(8);
const inView = new DataView(inOffset.buffer);
const outView = new DataView(outOffset.buffer);

function setOffset(offset: number): void {
  const [low, high] = [offset >>> 0, Math.floor(offset / 0x1_0000_0000)];
  for (const view of [inView, outView]) {
    view.setUint32(0, low, true);
    view.setUint32(4, high, true);
  }
}

const pieceSize = 1 << 20;

function readAndWrite(srcFd: number, dstFd: number, offset: number, length: number): number {
  let copied = 0;
  const piece = Buffer.allocUnsafe(Math.min(length, pieceSize));
  while (copied < length) {
    const got = readSync(srcFd, piece, 0, Math.min(piece.length, length - copied), offset + copied);
    if (got === 0) break;
    for (let written = 0; written < got;)
      written += writeSync(dstFd, piece, written, got - written, offset + copied + written);
    copied += got;
  }
  return copied;
}
