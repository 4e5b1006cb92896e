/**
 * Which extended attributes each inode of an image gets: its own, and those by which overlayfs finds a file's
 * content in the object store and leaves a tree's own overlay marks alone. What several inodes carry is stored
 * once, in a shared table.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Xattrs } from '../entry.ts';
import { maxSharedXattrs } from './format.ts';
import {
  beyond,
  exceedsXattrLimit,
  isExternal,
  isWhiteout,
  maxXattrBytes,
  metacopyOf,
  redirectOf,
  type ImageEntry,
} from './image-entry.ts';
import type { Nodes } from './nodes.ts';
import { newPairs, pairName, pairOf, pairSize, pairValue, redirectPair, type Pairs } from './pairs.ts';

export interface XattrTable {
  readonly pairs: Pairs;
  /** The n-th inode of the order has the pairs `list[start[n]] … list[start[n + 1] - 1]`, sorted by name. */
  readonly start: Uint32Array;
  readonly list: Uint32Array;
  /** Shared pairs in the order they are stored, and the offset of each from the table's start, else -1. */
  readonly shared: readonly number[];
  readonly sharedOffset: Float64Array;
  readonly sharedSize: number;
  readonly hasAcl: boolean;
}

const overlay = 'trusted.overlay.';
const escaped = 'trusted.overlay.overlay.';

/** @throws E_EROFS_LIMIT */
export function buildXattrs(nodes: Nodes, version: 0 | 1): XattrTable {
  const pairs = newPairs(nodes.entries.length);
  const own = new Map<Xattrs, readonly number[]>();
  const start = new Uint32Array(nodes.order.length + 1);
  let list = new Uint32Array(nodes.order.length * 2 + 1024);
  let end = 0;
  for (let n = 0; n < nodes.order.length; n++) {
    const node = nodes.order[n]!;
    const inodePairs = pairsOfInode({ nodes, node, pairs, own, version });
    if (end + inodePairs.length > list.length) list = grow(list, inodePairs.length);
    for (const pair of inodePairs) {
      pairs.uses[pair]! += 1;
      list[end++] = pair;
    }
    start[n + 1] = end;
  }
  const shared = sharedPairs(pairs);
  const sharedOffset = new Float64Array(pairs.uses.length).fill(-1);
  let sharedSize = 0;
  for (const pair of shared) {
    sharedOffset[pair] = sharedSize;
    sharedSize += pairSize(pairs, pair);
  }
  return { pairs, start, list, shared, sharedOffset, sharedSize, hasAcl: hasAcl(pairs) };
}

/** How many of the n-th inode's pairs are references into the table. */
export function sharedCount({ start, list, sharedOffset }: XattrTable, n: number): number {
  let count = 0;
  for (let at = start[n]!; at < start[n + 1]! && count < maxSharedXattrs; at++) {
    if (sharedOffset[list[at]!]! >= 0) count++;
  }
  return count;
}

interface Inode {
  readonly nodes: Nodes;
  readonly node: number;
  readonly pairs: Pairs;
  /** Pairs of sets already met: entries share their sets. */
  readonly own: Map<Xattrs, readonly number[]>;
  readonly version: 0 | 1;
}

function pairsOfInode(inode: Inode): readonly number[] {
  const { nodes, node, pairs } = inode;
  const entry = nodes.entries[node]!;
  const own = entry.xattrs.length === 0 ? [] : ownPairs(inode, entry);
  if (isExternal(entry)) return addExternal(inode, entry, own);
  const marks = marksOf(inode, entry);
  if (marks.length === 0) return own;
  const names = new Set(marks.map(([name]) => name));
  const kept = own.filter((pair) => !names.has(pairName(pairs, pair).full));
  return sortByName(pairs, [...kept, ...marks.map(([name, value]) => pairOf(pairs, name, value))]);
}

/** The inode's own attributes; overlayfs reads what has its prefix, and unescapes what has it twice. */
function ownPairs({ own, pairs }: Inode, entry: ImageEntry): readonly number[] {
  const known = own.get(entry.xattrs);
  if (known !== undefined) return known;
  checkSize(entry);
  const renamed = entry.xattrs.map(([name, value]) =>
    pairOf(pairs, name.startsWith(overlay) ? escaped + name.slice(overlay.length) : name, value),
  );
  const sorted = sortByName(pairs, renamed);
  own.set(entry.xattrs, sorted);
  return sorted;
}

/** What makes overlayfs take the content from the object store. */
function addExternal({ pairs }: Inode, entry: ImageEntry, own: readonly number[]): readonly number[] {
  const metacopy = pairOf(pairs, 'trusted.overlay.metacopy', metacopyOf(entry));
  const added = [metacopy];
  if (entry.payload === undefined && entry.digest !== undefined)
    added.push(redirectPair(pairs, entry.digest));
  else if (redirectOf(entry) !== '') added.push(pairOf(pairs, 'trusted.overlay.redirect', redirectOf(entry)));
  return own.length === 0 ? added : sortByName(pairs, [...own, ...added]);
}

/** A whiteout of the tree itself becomes a marked file in a marked directory; the root hides what is below. */
function marksOf({ nodes, node, version }: Inode, entry: ImageEntry): Xattrs {
  const marks: [name: ByteString, value: ByteString][] = [];
  if (isWhiteout(entry)) marks.push([`${escaped}whiteout`, ''], ['user.overlay.whiteout', '']);
  if (nodes.holdsWhiteout[node] === 1) {
    marks.push([`${escaped}whiteouts`, ''], ['user.overlay.whiteouts', '']);
    if (version >= 1) marks.push([`${escaped}opaque`, 'x'], ['user.overlay.opaque', 'x']);
  }
  if (node === 0) marks.push([`${overlay}opaque`, 'y']);
  return marks;
}

function checkSize(entry: ImageEntry): void {
  if (!exceedsXattrLimit(entry.xattrs)) return;
  throw beyond(entry, `more than ${maxXattrBytes} bytes of extended attributes`);
}

/** In place. The lists are short and nearly sorted. */
function sortByName(pairs: Pairs, list: number[]): number[] {
  for (let at = 1; at < list.length; at++) {
    const pair = list[at]!;
    const { full } = pairName(pairs, pair);
    let to = at;
    for (; to > 0 && pairName(pairs, list[to - 1]!).full > full; to--) list[to] = list[to - 1]!;
    list[to] = pair;
  }
  return list;
}

/** What two inodes or more carry: names descending, then the longer value, then values descending. */
function sharedPairs(pairs: Pairs): number[] {
  const shared: number[] = [];
  for (const [pair, uses] of pairs.uses.entries()) if (uses > 1) shared.push(pair);
  return shared.sort((a, b) => {
    const [left, right] = [pairName(pairs, a).full, pairName(pairs, b).full];
    if (left !== right) return left < right ? 1 : -1;
    const [value, other] = [pairValue(pairs, a), pairValue(pairs, b)];
    if (value.length !== other.length) return other.length - value.length;
    return value < other ? 1 : -1;
  });
}

function hasAcl(pairs: Pairs): boolean {
  return pairs.names.some(
    ({ full }) => full === 'system.posix_acl_access' || full === 'system.posix_acl_default',
  );
}

function grow(list: Uint32Array, need: number): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(list.length * 2 + need);
  grown.set(list);
  return grown;
}
