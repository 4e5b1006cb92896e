/**
 * What an image is written from: entries of a tree, and the few things only a composefs dump can say. Here are
 * also the limits of the format, because a tree that exceeds them is checked out by another method.
 */
import { toText, type ByteString } from '../../core/bytes.ts';
import { digestPath, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Entry, Xattrs } from '../entry.ts';
import { maxFileSize } from './format.ts';

export interface ImageEntry extends Entry {
  /** Link count where it is given and not counted. */
  readonly links?: number;
  /** Path of the backing file where it does not follow from `digest`. */
  readonly payload?: ByteString;
  /** The file's content, held in the image. */
  readonly content?: ByteString;
  /** fs-verity digest of the backing file: the kernel then checks what it reads. */
  readonly verity?: Digest;
  /** Hides a directory of the object store. */
  readonly stub?: true;
}

/** Sum over an inode: 12, and 7 + name + value for each attribute. */
export const maxXattrBytes = 32767;
const maxName = 255;
const maxTarget = 4095;

/** A regular file whose content lies in the object store. */
export function isExternal(entry: ImageEntry): boolean {
  return entry.type === 'file' && entry.size > 0 && entry.content === undefined;
}

/** Absolute path in the object store, as overlayfs follows it; empty when there is none. */
export function redirectOf(entry: ImageEntry): ByteString {
  if (entry.payload !== undefined) return entry.payload === '' ? '' : `/${entry.payload}`;
  return entry.digest === undefined ? '' : `/${digestPath(entry.digest)}`;
}

/** Overlayfs would take this device for a whiteout, so the image holds it in another form. */
export function isWhiteout(entry: ImageEntry): boolean {
  return entry.type === 'char' && entry.rdev === 0 && entry.stub === undefined;
}

/** True when an inode has more attributes than an image holds; what the layout adds is not counted. */
export function exceedsXattrLimit(xattrs: Xattrs): boolean {
  let bytes = xattrs.length === 0 ? 0 : 12;
  for (const [name, value] of xattrs) bytes += 7 + name.length + value.length;
  return bytes > maxXattrBytes;
}

/** @throws E_EROFS_LIMIT */
export function checkLimits(entry: ImageEntry): void {
  const { path, target, xattrs } = entry;
  if (path.length - path.lastIndexOf('/') - 1 > maxName)
    throw beyond(entry, `a name of more than ${maxName} bytes`);
  if (target !== undefined && target.length > maxTarget)
    throw beyond(entry, `a target of more than ${maxTarget} bytes`);
  if (isExternal(entry) && entry.size > maxFileSize) throw beyond(entry, 'a file of more than 8 PiB');
  for (const [name] of xattrs) {
    if (name === '' || name.length > maxName) throw beyond(entry, 'an extended attribute with such a name');
  }
}

/** @returns E_EROFS_LIMIT */
export function beyond(entry: ImageEntry, problem: string): CellarError {
  return new CellarError('E_EROFS_LIMIT', {
    details: { path: toText(entry.path), problem: `it has ${problem}` },
  });
}

/** Value of the metacopy attribute: version 0, length 36, flags 0, SHA-256; empty without a verity digest. */
export function metacopyOf(entry: ImageEntry): ByteString {
  if (entry.verity === undefined) return '';
  return `\x00\x24\x00\x01${Buffer.from(entry.verity, 'hex').toString('latin1')}`;
}
