/**
 * The three ways in which one file's content arrives: a hard link to an inode of the store, a reflink, or a copy.
 * Whatever reads content hashes it; a hard link compares the inode it is about to share with the manifest.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { threadId } from 'node:worker_threads';
import { fromText, toBytes, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { isErrno } from '../../sys/errno.ts';
import { setTimes } from '../../sys/metadata.ts';
import { reflink } from '../../sys/reflink.ts';
import { dataSegments } from '../../sys/sparse.ts';
import { fstatFull, lstatFull, type FileStat } from '../../sys/stat.ts';
import { writeFully } from '../../sys/write-fully.ts';
import { listXattrs } from '../../sys/xattr.ts';
import { openObject } from '../../store/objects.ts';
import { inodeFiles, metaDigest, withoutAmbient } from '../../store/variants.ts';
import { sameXattrs } from '../../tree/canonical.ts';
import { missing, readVerified, verifyObject } from '../verify/object.ts';
import { mayHold, setFileMetadata, type Rights, type SkippedCounts } from './metadata.ts';
import type { Item } from './plan.ts';

export interface ContentContext {
  readonly store: string;
  readonly content: 'link' | 'reflink' | 'copy';
  /**
   * Hash objects whose content is shared rather than copied when their ctime is at or after this moment (milliseconds
   * since the epoch): −Infinity for all, Infinity for none. What is copied is hashed always.
   */
  readonly hashNewer: number;
  /** For links: paths that are not hard links in the tree never share an inode. */
  readonly separate: boolean;
  /** For links: an object that nothing else links to may be given this time rather than a variant. */
  readonly clampTo: number | undefined;
  /** Private directory on the store's file system, for variants in the making. */
  readonly staging: string;
  readonly rights: Rights;
  readonly skipped: SkippedCounts;
  readonly made: { variants: number; hashed: number };
}

/** Create the regular file `path`, which is absent. @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED */
export function placeFile(context: ContentContext, item: Item, path: ByteString): void {
  const linked = context.content === 'link' && item.size > 0 && !(context.separate && item.repeated);
  if (linked) linkFile(context, item, path);
  else writeFile(context, item, path);
}

function writeFile(context: ContentContext, item: Item, path: ByteString): void {
  // Never readable by more than it will be, and set-id bits only once the owner is right.
  const createdMode = (item.mode & 0o777) | 0o200;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const fd = openSync(toBytes(path), flags, createdMode);
  try {
    if (item.size > 0) fill(context, item, fd);
    setFileMetadata(fd, item, { rights: context.rights, createdMode, skipped: context.skipped });
  } finally {
    closeSync(fd);
  }
}

function fill(context: ContentContext, item: Item, fd: number): void {
  using object = openObject(`${context.store}/objects`, item.digest);
  if (context.content !== 'copy' && reflink(object.fd, fd)) {
    // The object's pages may be in memory; the clone's never are.
    if (isNewer(context, () => fstatFull(object.fd))) hashNow(context, object.fd, item);
    return;
  }
  copyVerified(object.fd, fd, item);
}

function isNewer({ hashNewer }: ContentContext, stat: () => FileStat): boolean {
  if (!Number.isFinite(hashNewer)) return hashNewer < 0;
  const { ctime, ctimeNsec } = stat();
  return ctime * 1000 + Math.ceil(ctimeNsec / 1e6) >= hashNewer;
}

function hashNow(context: ContentContext, fd: number, item: Item): void {
  readVerified(fd, item.digest);
  context.made.hashed++;
}

/** Files below this may have holes that are not worth a look. */
const smallest = 64 << 10;

function copyVerified(from: number, to: number, item: Item): void {
  const sparse = item.size >= smallest && fstatSync(from).blocks * 512 < item.size;
  if (!sparse) {
    readVerified(from, item.digest, (content, position) => writeFully(to, content, position));
    return;
  }
  const extents = dataSegments(from, item.size);
  ftruncateSync(to, item.size);
  let next = 0;
  readVerified(from, item.digest, (content, position) => {
    const stop = position + content.length;
    for (; next < extents.length && extents[next]!.offset < stop; next++) {
      const { offset, length } = extents[next]!;
      const start = Math.max(offset, position);
      const end = Math.min(offset + length, stop);
      writeFully(to, content.subarray(start - position, end - position), start);
      // The rest of it is in the next piece.
      if (offset + length > stop) return;
    }
  });
}

function linkFile(context: ContentContext, item: Item, path: ByteString): void {
  if (context.hashNewer < Infinity) {
    using object = openObject(`${context.store}/objects`, item.digest);
    if (isNewer(context, () => fstatFull(object.fd))) hashNow(context, object.fd, item);
  }
  const target = toBytes(path);
  let first = true;
  for (const file of inodeFiles(context.store, item.digest, () => metaDigest(item))) {
    const serves = first ? objectServes(context, item, file) : variantServes(context, item, file);
    first = false;
    if (serves && linkTo(file, target)) return;
  }
}

/** How often another thread may be in the way in a row. */
const mostReplaced = 8;

/** False when the inode has all the names that the file system allows. */
function linkTo(file: string, target: Buffer): boolean {
  for (let tries = 0; ; tries++) {
    try {
      linkSync(file, target);
      return true;
    } catch (error) {
      if (isErrno(error, 'EMLINK')) return false;
      // Two threads that make one variant replace each other's; an inode that lost its name in between takes no link.
      const wasReplaced = isErrno(error, 'ENOENT') && statIfThere(fromText(file)) !== undefined;
      if (!wasReplaced || tries === mostReplaced) throw error;
    }
  }
}

function objectServes(context: ContentContext, item: Item, file: string): boolean {
  const path = fromText(file);
  const stat = statIfThere(path);
  if (stat === undefined) throw missing(item.digest);
  if (stat.size !== item.size) refuse(context, item);
  if (sameMetadata(context.rights, item, stat, path)) return true;
  if (context.clampTo === undefined || stat.nlink > 1) return false;
  const stamped = { ...stat, mtime: context.clampTo, mtimeNsec: 0 };
  if (!sameMetadata(context.rights, item, stamped, path)) return false;
  setTimes(path, stamped);
  return true;
}

/** Its size is wrong; say what its content hashes to. */
function refuse(context: ContentContext, item: Item): never {
  verifyObject(`${context.store}/objects`, item.digest);
  throw new CellarError('E_OBJECT_DAMAGED', {
    details: { object: item.digest, found: `${item.digest}, at another size` },
  });
}

/** True when the variant is there, if need be because it was made now. */
function variantServes(context: ContentContext, item: Item, file: string): true {
  const path = fromText(file);
  const stat = statIfThere(path);
  const good =
    stat !== undefined && stat.size === item.size && sameMetadata(context.rights, item, stat, path);
  if (!good) makeVariant(context, item, file);
  return true;
}

function makeVariant(context: ContentContext, item: Item, file: string): void {
  const temporary = `${context.staging}/variant-${threadId}-${temporaries}`;
  temporaries++;
  // Whatever the checkout cannot hold, the variant cannot either; that is counted once, by the checkout's own rules.
  const skipped = { ...context.skipped };
  writeFile({ ...context, content: 'reflink', hashNewer: -Infinity, skipped }, item, fromText(temporary));
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  renameSync(temporary, file);
  context.made.variants++;
}

let temporaries = 0;

function sameMetadata(rights: Rights, item: Item, stat: FileStat, path: ByteString): boolean {
  if (stat.perm !== item.mode || stat.mtime !== item.mtime || stat.mtimeNsec !== item.mtimeNsec) return false;
  if (rights.privileged && (stat.uid !== item.uid || stat.gid !== item.gid)) return false;
  const wanted = rights.privileged ? item.xattrs : item.xattrs.filter(([name]) => mayHold(name, rights));
  return sameXattrs(withoutAmbient(listXattrs(path), wanted), wanted);
}

function statIfThere(path: ByteString): FileStat | undefined {
  try {
    return lstatFull(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
