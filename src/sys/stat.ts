/**
 * statx(2) in one call, to the nanosecond and without BigInts but the inode number: 0.6 µs where Node's own
 * `lstatSync` with `bigint` takes 0.75 µs and leaves every conversion to the caller.
 */
import { constants } from 'node:fs';
import type { ByteString } from '../core/bytes.ts';
import { makedev } from '../core/rdev.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  cPath,
  check,
  emptyPath,
  libc,
} from './libc.ts';

export interface FileStat {
  /** `st_mode`, and its parts: type bits (`constants.S_IFMT`) and permissions 0 … 0o7777. */
  readonly mode: number;
  readonly type: number;
  readonly perm: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Whole seconds (may be negative) and nanoseconds. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  readonly ctime: number;
  readonly ctimeNsec: number;
  /** Inode numbers of XFS, NFS and overlays pass 2⁵³. */
  readonly ino: bigint;
  /** Linux's 32-bit encoding, both (core/rdev.ts). `rdev` is 0 unless this is a device. */
  readonly dev: number;
  readonly rdev: number;
  readonly nlink: number;
  /** Allocated 512-byte units; `blocks * 512 < size` tells a sparse (or compressed) file. */
  readonly blocks: number;
  /** A mount point: another file system, or a bind mount of the same one, begins here (Linux 5.8). */
  readonly mountRoot: boolean;
}

/** Of the path itself, never of a symlink's target. @throws SysError ENOENT, EACCES, … */
export function lstatFull(path: ByteString): FileStat {
  const flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  check(libc().statx(AT_FDCWD, cPath(path), flags, STATX_BASIC_STATS, bytes), 'statx', path);
  return decode();
}

export function fstatFull(fd: number): FileStat {
  check(libc().statx(fd, emptyPath, AT_EMPTY_PATH, STATX_BASIC_STATS, bytes), 'statx');
  return decode();
}

const STATX_BASIC_STATS = 0x7ff;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/** `struct statx` (statx(2)), 256 bytes, read through words of the machine's own byte order. */
const bytes = new Uint8Array(256);
const u16 = new Uint16Array(bytes.buffer);
const u32 = new Uint32Array(bytes.buffer);
const i32 = new Int32Array(bytes.buffer);
const u64 = new BigUint64Array(bytes.buffer);

/** Little-endian: every machine Node supports on Linux but s390x. */
function decode(): FileStat {
  const mode = word16(14);
  return {
    mode,
    type: mode & constants.S_IFMT,
    perm: mode & 0o7777,
    uid: word(5),
    gid: word(6),
    size: word(10) + word(11) * high,
    mtime: word(28) + signed(29) * high,
    mtimeNsec: word(30),
    ctime: word(24) + signed(25) * high,
    ctimeNsec: word(26),
    ino: u64[4] ?? 0n,
    dev: makedev(word(34), word(35)),
    rdev: makedev(word(32), word(33)),
    nlink: word(4),
    blocks: word(12) + word(13) * high,
    mountRoot: (word(2) & STATX_ATTR_MOUNT_ROOT) !== 0,
  };
}

const high = 0x1_0000_0000;

function word16(index: number): number {
  return u16[index] ?? 0;
}

function word(index: number): number {
  return u32[index] ?? 0;
}

function signed(index: number): number {
  return i32[index] ?? 0;
}
