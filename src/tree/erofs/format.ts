/**
 * Numbers of the EROFS on-disk format and of the composefs layout of it. Sources: the kernel's
 * Documentation/filesystems/erofs.rst and "EROFS on-disk format", composefs's image header.
 */
import type { EntryType } from '../entry.ts';

export const blockBits = 12;
export const blockSize = 1 << blockBits;
/** Inodes start at multiples of this; an inode's number (nid) is its offset divided by it. */
export const slotSize = 32;
export const superblockAt = 1024;
export const firstInodeAt = superblockAt + 128;

export const superblockMagic = 0xe0f5e1e2;
export const headerMagic = 0xd078629a;
/** Modification times, and a filter word of names in each xattr area. */
export const featureCompat = 0x2 | 0x4;
/** Header flag: some inode has a POSIX ACL, so the image is mounted with ACLs. */
export const flagAcl = 1;

export const compactInode = 32;
export const extendedInode = 64;
export const layoutPlain = 0;
export const layoutInline = 2;
export const layoutChunks = 4;

export const xattrHeader = 12;
export const xattrEntry = 4;
/** An inode refers to at most this many shared xattrs. */
export const maxSharedXattrs = 128;
export const direntSize = 12;

/** A chunk is at most 2^43 bytes, and the chunk map of a file must fit one block. */
const maxChunkBits = blockBits + 31;
export const maxFileSize = 2 ** maxChunkBits * (blockSize / 4);

export const fileTypeCode: Readonly<Record<EntryType, number>> = {
  file: 1,
  directory: 2,
  char: 3,
  block: 4,
  fifo: 5,
  socket: 6,
  symlink: 7,
};

/** Log2 of the chunk size of an external file: as few chunks as there can be. */
export function chunkBitsOf(size: number): number {
  return Math.min(Math.max(bitLength(size - 1), blockBits), maxChunkBits);
}

export function chunkCountOf(size: number): number {
  return Math.ceil(size / 2 ** chunkBitsOf(size));
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function bitLength(value: number): number {
  const high = Math.floor(value / 2 ** 32);
  return high > 0 ? 64 - Math.clz32(high) : 32 - Math.clz32(value >>> 0);
}
