/**
 * Writes a tree as an EROFS image in composefs layout, which the kernel mounts in constant time: metadata and
 * names in the image, file content by reference into the object store. Same tree, same bytes as mkcomposefs.
 */
import {
  blockBits,
  blockSize,
  featureCompat,
  flagAcl,
  headerMagic,
  superblockAt,
  superblockMagic,
} from './format.ts';
import { checkLimits, isWhiteout, type ImageEntry } from './image-entry.ts';
import { writeInode, writeInt64, type Image } from './inode.ts';
import { layOut } from './layout.ts';
import { buildNodes } from './nodes.ts';
import { writePair } from './pairs.ts';
import { buildXattrs } from './xattrs.ts';

export interface ErofsOptions {
  /** Version of the composefs layout: the lowest that serves from 0 (default) to 1 (default). */
  readonly minVersion?: 0 | 1;
  readonly maxVersion?: 0 | 1;
}

/** The image of canonical `entries`; a multiple of 4096 bytes. @throws E_EROFS_LIMIT with the path */
export function writeErofs(entries: readonly ImageEntry[], options: ErofsOptions = {}): Buffer {
  for (const entry of entries) checkLimits(entry);
  const version = chooseVersion(entries, options);
  const nodes = buildNodes(entries);
  const xattrs = buildXattrs(nodes, version);
  const layout = layOut(nodes, xattrs);
  const image: Image = { bytes: Buffer.alloc(layout.imageBlocks * blockSize), nodes, xattrs, layout };
  writeHeader(image, version);
  writeSuperblock(image);
  for (let n = 0; n < nodes.order.length; n++) writeInode(image, n);
  for (const pair of xattrs.shared) {
    writePair(xattrs.pairs, pair, image.bytes, layout.inodesEnd + xattrs.sharedOffset[pair]!);
  }
  return image.bytes;
}

/** Version 1 hides whiteouts of the tree better, so a tree that has one gets it. */
function chooseVersion(
  entries: readonly ImageEntry[],
  { minVersion = 0, maxVersion = 1 }: ErofsOptions,
): 0 | 1 {
  if (minVersion === 1 || maxVersion === 0) return minVersion;
  return entries.some((entry) => isWhiteout(entry)) ? 1 : 0;
}

function writeHeader({ bytes, xattrs }: Image, version: 0 | 1): void {
  bytes.writeUInt32LE(headerMagic, 0);
  bytes.writeUInt32LE(1, 4);
  bytes.writeUInt32LE(xattrs.hasAcl ? flagAcl : 0, 8);
  bytes.writeUInt32LE(version, 12);
}

/** Source: struct erofs_super_block. What is not set here is zero. */
function writeSuperblock({ bytes, nodes, layout }: Image): void {
  const at = superblockAt;
  bytes.writeUInt32LE(superblockMagic, at);
  bytes.writeUInt32LE(featureCompat, at + 8);
  bytes[at + 12] = blockBits;
  bytes.writeUInt16LE(layout.nid[0]!, at + 14);
  writeInt64(bytes, nodes.order.length, at + 16);
  writeInt64(bytes, layout.buildTime, at + 24);
  bytes.writeUInt32LE(layout.buildTimeNsec, at + 32);
  bytes.writeUInt32LE(layout.imageBlocks, at + 36);
  bytes.writeUInt32LE(Math.floor(layout.inodesEnd / blockSize), at + 44);
}
