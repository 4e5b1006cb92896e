/**
 * What Node cannot set exactly: device nodes, and times to the nanosecond (its own go through a double, which holds
 * about 200 ns for today's dates) on symlinks as well.
 */
import type { ByteString } from '../core/bytes.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, cPath, check, libc } from './libc.ts';

/** UTIME_OMIT of utimensat(2). */
const omit = 0x3ffffffe;

/** Two `struct timespec`: access time (left alone), then modification time; each {s64 seconds, s64 nanoseconds}. */
const times = new Uint8Array(32);
const words = new Int32Array(times.buffer);
words[2] = omit;

/**
 * Sets the modification time of a path, itself when it is a symlink, or of an open file; the access time stays.
 * `mtime` in whole seconds since the epoch (may be negative), `mtimeNsec` 0 … 999,999,999.
 * File systems with a smaller range clamp silently (timestamps in inode(7)).
 */
export function setTimes(
  file: ByteString | number,
  { mtime, mtimeNsec }: { readonly mtime: number; readonly mtimeNsec: number },
): void {
  // ToInt32 takes the low 32 bits of any integer up to 2⁵³.
  words[4] = mtime | 0;
  words[5] = Math.floor(mtime / 0x1_0000_0000);
  words[6] = mtimeNsec;
  if (typeof file === 'number') check(libc().futimens(file, times), 'futimens');
  else check(libc().utimensat(AT_FDCWD, cPath(file), times, AT_SYMLINK_NOFOLLOW), 'utimensat', file);
}

/**
 * Makes a device node, fifo or socket; `mode` with its type bits (formatBits), permissions pass through the umask.
 * `rdev` in Linux's 32-bit encoding (core/rdev.ts). @throws SysError EPERM for devices without CAP_MKNOD, EEXIST
 */
export function mknod(path: ByteString, mode: number, rdev: number): void {
  check(libc().mknodat(AT_FDCWD, cPath(path), mode, rdev), 'mknod', path);
}
