/**
 * Where everything goes: inodes one after another from byte 1152, a small remainder of content right behind
 * its inode and never across a block boundary, then the shared xattrs, then whole data blocks.
 */
import { directorySize, listDirectory } from './directory.ts';
import {
  blockSize,
  chunkCountOf,
  compactInode,
  extendedInode,
  firstInodeAt,
  roundUp,
  slotSize,
  xattrEntry,
  xattrHeader,
} from './format.ts';
import { isExternal, type ImageEntry } from './image-entry.ts';
import type { Nodes } from './nodes.ts';
import { pairSize } from './pairs.ts';
import { sharedCount, type XattrTable } from './xattrs.ts';

export interface Layout {
  /** Of each node with an inode, its offset in slots. */
  readonly nid: Uint32Array;
  /** These by place in the order: */
  readonly compact: Uint8Array;
  readonly xattrSize: Uint32Array;
  readonly blocks: Uint32Array;
  readonly tail: Uint16Array;
  /** First data block of the inode, numbered within the image. */
  readonly firstBlock: Uint32Array;
  readonly inodesEnd: number;
  readonly imageBlocks: number;
  /** The earliest time of any inode; what has it needs no time of its own. */
  readonly buildTime: number;
  readonly buildTimeNsec: number;
}

export function layOut(nodes: Nodes, xattrs: XattrTable): Layout {
  const count = nodes.order.length;
  const layout = {
    nid: new Uint32Array(nodes.entries.length),
    compact: new Uint8Array(count),
    xattrSize: new Uint32Array(count),
    blocks: new Uint32Array(count),
    tail: new Uint16Array(count),
    firstBlock: new Uint32Array(count),
    ...earliest(nodes),
  };
  let position = firstInodeAt;
  for (let n = 0; n < count; n++) {
    const node = nodes.order[n]!;
    const entry = nodes.entries[node]!;
    const content = contentSize(nodes, node);
    const compact = isCompact(entry, { links: nodes.links[node]!, content, ...layout });
    const xattrSize = xattrAreaSize(xattrs, n);
    const head = (compact ? compactInode : extendedInode) + xattrSize;
    const placed = place(roundUp(position, slotSize), {
      head,
      ...content,
      symlink: entry.type === 'symlink',
    });
    layout.compact[n] = compact ? 1 : 0;
    layout.xattrSize[n] = xattrSize;
    layout.blocks[n] = placed.blocks;
    layout.tail[n] = placed.tail;
    layout.nid[node] = placed.at / slotSize;
    position = placed.at + head + placed.tail;
  }
  const inodesEnd = roundUp(position, slotSize);
  let block = roundUp(inodesEnd + xattrs.sharedSize, blockSize) / blockSize;
  for (let n = 0; n < count; n++) {
    layout.firstBlock[n] = block;
    block += layout.blocks[n]!;
  }
  return { ...layout, inodesEnd, imageBlocks: block };
}

interface Content {
  blocks: number;
  /** Bytes that go behind the inode if they can. */
  tail: number;
}

function contentSize(nodes: Nodes, node: number): Content {
  const entry = nodes.entries[node]!;
  if (entry.type === 'directory') {
    const { blocks, rest } = directorySize(listDirectory(nodes, node));
    return packed(blocks, rest);
  }
  if (entry.type === 'symlink') return { blocks: 0, tail: entry.target!.length };
  if (isExternal(entry)) return { blocks: 0, tail: 4 * chunkCountOf(entry.size) };
  if (entry.content === undefined) return { blocks: 0, tail: 0 };
  return packed(Math.floor(entry.content.length / blockSize), entry.content.length % blockSize);
}

/** More than half a block gets a block of its own. */
function packed(blocks: number, rest: number): Content {
  return rest > blockSize / 2 ? { blocks: blocks + 1, tail: 0 } : { blocks, tail: rest };
}

interface InodeSize extends Content {
  readonly head: number;
  readonly symlink: boolean;
}

function place(at: number, { head, blocks, tail, symlink }: InodeSize): { at: number } & Content {
  if (symlink) {
    const extent = head + tail;
    const crosses = Math.floor(at / blockSize) !== Math.floor((at + extent - 1) / blockSize);
    const start = crosses ? roundUp(at, blockSize) : at;
    return extent >= blockSize ? { at: start, blocks: blocks + 1, tail: 0 } : { at: start, blocks, tail };
  }
  const room = roomAfter(at + head);
  if (room >= tail) return { at, blocks, tail };
  const moved = at + roundUp(room, slotSize);
  if (roomAfter(moved + head) >= tail) return { at: moved, blocks, tail };
  return { at: roundUp(at, blockSize), blocks: blocks + 1, tail: 0 };
}

/** Bytes to the end of the block; a whole block at its start. */
function roomAfter(position: number): number {
  return blockSize - (position % blockSize);
}

function xattrAreaSize(xattrs: XattrTable, n: number): number {
  const { start, list, sharedOffset, pairs } = xattrs;
  if (start[n] === start[n + 1]) return 0;
  const references = sharedCount(xattrs, n);
  let size = xattrHeader + references * xattrEntry;
  let left = references;
  for (let at = start[n]!; at < start[n + 1]!; at++) {
    const pair = list[at]!;
    if (left > 0 && sharedOffset[pair]! >= 0) left--;
    else size += pairSize(pairs, pair);
  }
  return size;
}

interface Compactness {
  readonly links: number;
  readonly content: Content;
  readonly buildTime: number;
  readonly buildTimeNsec: number;
}

function isCompact(entry: ImageEntry, { links, content, buildTime, buildTimeNsec }: Compactness): boolean {
  if (entry.mtime !== buildTime || entry.mtimeNsec !== buildTimeNsec) return false;
  if (links > 0xffff || entry.uid > 0xffff || entry.gid > 0xffff) return false;
  const size = entry.type === 'directory' ? content.blocks * blockSize + content.tail : entry.size;
  return size <= 0xffffffff;
}

function earliest({ entries, order }: Nodes): { buildTime: number; buildTimeNsec: number } {
  let buildTime = entries[0]!.mtime;
  let buildTimeNsec = entries[0]!.mtimeNsec;
  for (const node of order) {
    const { mtime, mtimeNsec } = entries[node]!;
    if (mtime > buildTime || (mtime === buildTime && mtimeNsec >= buildTimeNsec)) continue;
    buildTime = mtime;
    buildTimeNsec = mtimeNsec;
  }
  return { buildTime, buildTimeNsec };
}
