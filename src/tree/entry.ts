/**
 * One path of a file tree with all its metadata. Every format (tar, manifest, EROFS, a directory) reads into
 * and writes from this shape; entries are immutable and hold no file content, only its digest.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';

export type EntryType = 'file' | 'directory' | 'symlink' | 'char' | 'block' | 'fifo' | 'socket';

/** Extended attributes sorted by name in byte order; values are raw bytes. Share {@link noXattrs} when empty. */
export type Xattrs = readonly (readonly [name: ByteString, value: ByteString])[];

export const noXattrs: Xattrs = Object.freeze([]);

/** What an inode carries beside its content. Hard-linked names share it. */
export interface InodeMeta {
  /** Permission bits including setuid, setgid and sticky: 0 … 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Whole seconds since the epoch, may be negative; and nanoseconds, 0 … 999,999,999. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  readonly xattrs: Xattrs;
}

export interface Entry extends InodeMeta {
  /** Absolute within the tree: `/`, `/etc/passwd`. No `.`, `..`, empty or doubled parts. */
  readonly path: ByteString;
  readonly type: EntryType;
  /** Bytes of a regular file (its logical size when sparse), length of a symlink's target, else 0. */
  readonly size: number;
  /** Device number as makedev(3) in Linux's 32-bit encoding (see rdev.ts); 0 unless char or block. */
  readonly rdev: number;
  /** Content of a regular file with size > 0. */
  readonly digest?: Digest;
  /** Target of a symlink. */
  readonly target?: ByteString;
  /** Set on every name of an inode but its first: the path of the first. All other fields repeat the first's. */
  readonly hardlink?: ByteString;
}

/** `(st_mode & S_IFMT)` of a type. Source: inode(7). */
export const formatBits: Readonly<Record<EntryType, number>> = {
  fifo: 0o010000,
  char: 0o020000,
  directory: 0o040000,
  block: 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};

const types = new Map((Object.keys(formatBits) as EntryType[]).map((type) => [formatBits[type], type]));

/** `undefined` for bits that are no type's. */
export function typeFromMode(mode: number): EntryType | undefined {
  return types.get(mode & 0o170000);
}

/** What implied parents are: 0755 0:0 with mtime 0 (store format, "canonical form"). */
export function impliedDirectory(path: ByteString): Entry {
  return {
    path,
    type: 'directory',
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtime: 0,
    mtimeNsec: 0,
    xattrs: noXattrs,
    size: 0,
    rdev: 0,
  };
}

/** The path of a name in a directory. */
export function childPath(directory: ByteString, name: ByteString): ByteString {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

export function parentPath(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}
