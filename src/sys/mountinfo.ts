/** What is mounted where, from /proc/self/mountinfo (proc_pid_mountinfo(5)): the kernel's own list, never /etc/mtab. */
import { readFileSync } from 'node:fs';
import type { ByteString } from '../core/bytes.ts';
import { makedev } from '../core/rdev.ts';
import { requireProc } from './proc.ts';

export interface MountInfo {
  readonly id: number;
  readonly parent: number;
  /** Linux's 32-bit encoding; `dev` of FileStat for files on it (btrfs subvolumes differ). */
  readonly dev: number;
  /** Directory within the file system that is the root of this mount. */
  readonly root: ByteString;
  readonly mountPoint: ByteString;
  /** Options of this mount (`ro`, `relatime`), and of the file system below (`lowerdir+=…`). */
  readonly options: readonly ByteString[];
  readonly superOptions: readonly ByteString[];
  /** For instance `overlay`, `fuse.sshfs`. */
  readonly type: string;
  readonly source: ByteString;
  /** `shared:N`, `master:N`, `unbindable`. */
  readonly propagation: readonly string[];
}

/** In mount order: of several mounts at one point the last is the visible one. @throws CellarError E_NO_PROC */
export function mountInfo(): MountInfo[] {
  return parseMountInfo(readMountInfo());
}

/** Mounts whose mount point is `path` exactly (absolute, without symlinks), or also those below it. */
export function mountsAt(path: ByteString, options: { readonly below?: boolean } = {}): MountInfo[] {
  const prefix = path === '/' ? '/' : `${path}/`;
  // A machine may have hundreds of mounts, with lines of a kilobyte: only those that may be meant are taken apart.
  const written = escape(path);
  return linesOf(readMountInfo())
    .filter((line) => line.includes(written))
    .map(parseLine)
    .filter(
      ({ mountPoint }) => mountPoint === path || (options.below === true && mountPoint.startsWith(prefix)),
    );
}

/** The mount that a path (absolute, without symlinks) lies on. */
export function mountOf(path: ByteString): MountInfo | undefined {
  const [longest] = mountInfo()
    .filter(
      ({ mountPoint }) => mountPoint === '/' || path === mountPoint || path.startsWith(`${mountPoint}/`),
    )
    .toReversed()
    .sort((a, b) => b.mountPoint.length - a.mountPoint.length);
  return longest;
}

export function parseMountInfo(text: ByteString): MountInfo[] {
  return linesOf(text).map(parseLine);
}

function readMountInfo(): ByteString {
  try {
    return readFileSync('/proc/self/mountinfo', 'latin1');
  } catch (error) {
    requireProc(error);
    throw error;
  }
}

function linesOf(text: ByteString): ByteString[] {
  return text.split('\n').filter((line) => line !== '');
}

/** `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue` */
function parseLine(line: string): MountInfo {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id = '', parent = '', device = '', root = '', mountPoint = '', options = ''] = fields;
  const [type = '', source = '', superOptions = ''] = fields.slice(dash + 1);
  const [major, minor] = device.split(':').map(Number);
  if (dash === -1 || major === undefined || minor === undefined)
    throw new Error(`unexpected line in mountinfo: ${line}`);
  return {
    id: Number(id),
    parent: Number(parent),
    dev: makedev(major, minor),
    root: unescape(root),
    mountPoint: unescape(mountPoint),
    options: options.split(','),
    superOptions: superOptions.split(',').map(unescape),
    type,
    source: unescape(source),
    propagation: fields.slice(6, dash),
  };
}

/** As a mount point is written; in a source `#` is escaped, too. */
function escape(path: ByteString): ByteString {
  return path.replace(/[ \t\n\\]/g, (byte) => `\\${byte.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** Space, tab, newline, backslash and `#` come as `\ooo`. */
function unescape(field: string): ByteString {
  if (!field.includes('\\')) return field;
  return field.replace(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}
