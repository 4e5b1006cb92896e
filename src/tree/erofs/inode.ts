/** Writes inodes: the fixed part (compact or extended), the xattr area, and the content kept right behind it. */
import type { Entry } from '../entry.ts';
import { formatBits } from '../entry.ts';
import { listDirectory, writeDirectory } from './directory.ts';
import {
  blockSize,
  chunkBitsOf,
  blockBits,
  compactInode,
  extendedInode,
  layoutChunks,
  layoutInline,
  layoutPlain,
  maxSharedXattrs,
  slotSize,
  xattrEntry,
  xattrHeader,
} from './format.ts';
import { isExternal, isWhiteout } from './image-entry.ts';
import type { Layout } from './layout.ts';
import type { Nodes } from './nodes.ts';
import { pairName, pairSize, writePair } from './pairs.ts';
import { sharedCount, type XattrTable } from './xattrs.ts';

export interface Image {
  readonly bytes: Buffer;
  readonly nodes: Nodes;
  readonly xattrs: XattrTable;
  readonly layout: Layout;
}

/** The n-th inode of the order with all that belongs to it. */
export function writeInode(image: Image, n: number): void {
  const { nodes, layout } = image;
  const node = nodes.order[n]!;
  const at = layout.nid[node]! * slotSize;
  const head = layout.compact[n] === 1 ? compactInode : extendedInode;
  writeFixed(image, n, at);
  if (layout.xattrSize[n]! > 0) writeXattrs(image, n, at + head);
  writeContent(image, n, at + head + layout.xattrSize[n]!);
}

/** Low and high half of a 64-bit number at `at`; two's complement when negative. */
export function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value >>> 0, at);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32) >>> 0, at + 4);
}

function writeFixed(image: Image, n: number, at: number): void {
  const { bytes, nodes, layout } = image;
  const node = nodes.order[n]!;
  const entry = nodes.entries[node]!;
  const compact = layout.compact[n] === 1;
  const type = isWhiteout(entry) ? 'file' : entry.type;
  const icount = layout.xattrSize[n] === 0 ? 0 : (layout.xattrSize[n]! - xattrHeader) / 4 + 1;
  bytes.writeUInt16LE(dataLayout(image, n) * 2 + (compact ? 0 : 1), at);
  bytes.writeUInt16LE(icount, at + 2);
  bytes.writeUInt16LE(formatBits[type] | entry.mode, at + 4);
  bytes.writeUInt32LE(unionOf(image, n), at + 16);
  bytes.writeUInt32LE(n, at + 20);
  const size = storedSize(image, n);
  if (compact) {
    bytes.writeUInt16LE(nodes.links[node]!, at + 6);
    bytes.writeUInt32LE(size, at + 8);
    bytes.writeUInt16LE(entry.uid, at + 24);
    bytes.writeUInt16LE(entry.gid, at + 26);
    return;
  }
  writeInt64(bytes, size, at + 8);
  bytes.writeUInt32LE(entry.uid, at + 24);
  bytes.writeUInt32LE(entry.gid, at + 28);
  writeInt64(bytes, entry.mtime, at + 32);
  bytes.writeUInt32LE(entry.mtimeNsec, at + 40);
  bytes.writeUInt32LE(nodes.links[node]!, at + 44);
}

function dataLayout({ nodes, layout }: Image, n: number): number {
  if (isExternal(nodes.entries[nodes.order[n]!]!)) return layoutChunks;
  return layout.tail[n]! > 0 ? layoutInline : layoutPlain;
}

function storedSize({ nodes, layout }: Image, n: number): number {
  const entry = nodes.entries[nodes.order[n]!]!;
  if (entry.type === 'directory') return layout.blocks[n]! * blockSize + layout.tail[n]!;
  return entry.type === 'file' || entry.type === 'symlink' ? entry.size : 0;
}

/** First data block, device number, or the chunk size of an external file in the low half. */
function unionOf({ nodes, layout }: Image, n: number): number {
  const entry: Entry = nodes.entries[nodes.order[n]!]!;
  if (entry.type === 'char' || entry.type === 'block') return entry.rdev;
  const block = layout.blocks[n]! > 0 ? layout.firstBlock[n]! : 0;
  if (!isExternal(entry)) return block;
  return ((block & 0xffff0000) | (chunkBitsOf(entry.size) - blockBits)) >>> 0;
}

/** Header (name filter, number of references), references in words from the table's block, own entries. */
function writeXattrs({ bytes, xattrs, layout }: Image, n: number, at: number): void {
  const { pairs, start, list, sharedOffset } = xattrs;
  const references = sharedCount(xattrs, n);
  let filter = 0xffffffff;
  let reference = at + xattrHeader;
  let own = reference + references * xattrEntry;
  let left = maxSharedXattrs;
  for (let index = start[n]!; index < start[n + 1]!; index++) {
    const pair = list[index]!;
    filter &= ~(1 << pairName(pairs, pair).filterBit);
    const offset = sharedOffset[pair]!;
    if (offset >= 0 && left > 0) {
      left--;
      bytes.writeUInt32LE(((layout.inodesEnd % blockSize) + offset) / 4, reference);
      reference += xattrEntry;
    } else {
      writePair(pairs, pair, bytes, own);
      own += pairSize(pairs, pair);
    }
  }
  bytes.writeUInt32LE(filter >>> 0, at);
  bytes[at + 4] = references;
}

/** Whole blocks go to the data region, the rest to `tailAt`. */
function writeContent(image: Image, n: number, tailAt: number): void {
  const { bytes, nodes, layout } = image;
  const node = nodes.order[n]!;
  const entry = nodes.entries[node]!;
  const [blocks, tail, dataAt] = [layout.blocks[n]!, layout.tail[n]!, layout.firstBlock[n]! * blockSize];
  if (entry.type === 'directory') {
    const blockAt = (block: number) => (block < blocks ? dataAt + block * blockSize : tailAt);
    writeDirectory(listDirectory(nodes, node), {
      image: bytes,
      blockAt,
      nid: layout.nid,
      fileType: nodes.fileType,
    });
  } else if (isExternal(entry)) {
    bytes.fill(0xff, tailAt, tailAt + tail);
    bytes.fill(0xff, dataAt, dataAt + blocks * blockSize);
  } else {
    const text = entry.type === 'symlink' ? entry.target : entry.content;
    if (text === undefined) return;
    bytes.write(text.slice(0, text.length - tail), dataAt, 'latin1');
    bytes.write(text.slice(text.length - tail), tailAt, 'latin1');
  }
}
