/**
 * cpio archives in the "newc" form, which the kernel reads an initramfs from. The same tree gives the same bytes.
 * Sources: Linux Documentation/driver-api/early-userspace/buffer-format.rst; cpio(5).
 */
import { CellarError } from '../../core/errors.ts';
import { toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { major, minor } from '../../core/rdev.ts';
import type { Digest } from '../../core/digest.ts';
import { archiveOrder } from '../archive-order.ts';
import { formatBits, type Entry } from '../entry.ts';

/** Bytes to write as they are, or an object whose content comes here. */
export type CpioPart = Buffer | { readonly object: Digest; readonly size: number };

/** What newc has no place for. */
export interface CpioLosses {
  readonly xattrs: number;
  readonly times: number;
}

/**
 * The archive of a tree in canonical order. Times are cut to whole seconds from 1970 to 2106; xattrs are left out.
 * @throws E_UNSUPPORTED for a file of 4 GiB or more
 */
export function* cpioParts(tree: readonly Entry[]): Generator<CpioPart> {
  const entries = [...archiveOrder(tree)];
  const names = countNames(entries);
  const inodes = new Map<ByteString, Inode>();
  let bytes = 0;
  for (const entry of entries) {
    const first = entry.hardlink ?? entry.path;
    const inode = inodes.get(first) ?? { number: inodes.size + 1, left: names.get(first)! };
    inodes.set(first, inode);
    inode.left--;
    // Names of one inode follow each other up to the one that brings the content: the last.
    const size = entry.type === 'symlink' || inode.left === 0 ? bodySize(entry) : 0;
    const header = member(entry, { number: inode.number, links: names.get(first)!, size });
    yield header;
    bytes += header.length + size;
    if (entry.digest !== undefined && size > 0) yield { object: entry.digest, size };
    else if (size > 0) yield toBytes(entry.target!);
    const padding = -bytes & 3;
    if (padding > 0) yield Buffer.alloc(padding);
    bytes += padding;
  }
  const end = trailer();
  yield end;
  const rest = -(bytes + end.length) & (block - 1);
  if (rest > 0) yield Buffer.alloc(rest);
}

export function cpioLosses(tree: readonly Entry[]): CpioLosses {
  return {
    xattrs: tree.filter(({ xattrs }) => xattrs.length > 0).length,
    times: tree.filter(({ mtime }) => mtime < 0 || mtime > largest).length,
  };
}

const block = 512;
const largest = 0xffff_ffff;
const magic = '070701';

interface Inode {
  readonly number: number;
  /** Names that are still to come. */
  left: number;
}

function countNames(entries: readonly Entry[]): ReadonlyMap<ByteString, number> {
  const names = new Map<ByteString, number>();
  for (const { path, hardlink } of entries)
    names.set(hardlink ?? path, (names.get(hardlink ?? path) ?? 0) + 1);
  return names;
}

function bodySize(entry: Entry): number {
  if (entry.type !== 'file' && entry.type !== 'symlink') return 0;
  if (entry.size <= largest) return entry.size;
  throw new CellarError('E_UNSUPPORTED', {
    details: { problem: `cpio holds files below 4 GiB, and ${toText(entry.path)} is larger` },
  });
}

function member(entry: Entry, inode: { number: number; links: number; size: number }): Buffer {
  const { path, type, mode, uid, gid, mtime, rdev } = entry;
  const isDevice = type === 'char' || type === 'block';
  return header(memberName(path), [
    inode.number,
    formatBits[type] | mode,
    uid,
    gid,
    inode.links,
    Math.min(Math.max(mtime, 0), largest),
    inode.size,
    0,
    0,
    ...(isDevice ? [major(rdev), minor(rdev)] : [0, 0]),
  ]);
}

/** Only a member of the name of the end needs `./`: readers would take it for the end. */
function memberName(path: ByteString): ByteString {
  if (path === '/') return '.';
  const name = path.slice(1);
  return name === endName ? `./${name}` : name;
}

const endName = 'TRAILER!!!';

function trailer(): Buffer {
  return header(endName, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
}

/** Header, name and zeros up to a multiple of 4. */
function header(name: ByteString, fields: readonly number[]): Buffer {
  const numbers = [...fields, name.length + 1, 0].map((field) => field.toString(16).padStart(8, '0'));
  const text = `${magic}${numbers.join('')}${name}\0`;
  return toBytes(text + '\0'.repeat(-text.length & 3));
}
