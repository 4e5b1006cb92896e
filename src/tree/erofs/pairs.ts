/**
 * Every (name, value) pair of extended attributes in an image, once, with the number of inodes that carry it.
 * A million files bring a million redirects, so a redirect is kept as the digest it is made of.
 */
import type { ByteString } from '../../core/bytes.ts';
import { digestPath, type Digest } from '../../core/digest.ts';
import { roundUp, xattrEntry } from './format.ts';
import { xxh32 } from './xxh32.ts';

interface Name {
  readonly full: ByteString;
  /** Prefix number and the rest of the name, as they are stored. */
  readonly index: number;
  readonly suffix: ByteString;
  /** The bit that an inode with this name clears in its filter. */
  readonly filterBit: number;
}

export interface Pairs {
  /** Of pair p, its name (a number into `names`), value, and use. */
  readonly nameOf: number[];
  readonly valueOf: ByteString[];
  readonly uses: number[];
  readonly names: Name[];
  readonly known: Map<ByteString, number>;
  readonly redirects: DigestTable;
  readonly nameNumbers: Map<ByteString, number>;
}

const filterSeed = 0x25bbe08f;
/** Source: include/uapi "EROFS_XATTR_INDEX_*"; `lustre.` has a number too, but composefs spells it out. */
const prefixes: readonly (readonly [prefix: ByteString, index: number])[] = [
  ['user.', 1],
  ['system.posix_acl_access', 2],
  ['system.posix_acl_default', 3],
  ['trusted.', 4],
  ['security.', 6],
];
const redirectName = 'trusted.overlay.redirect';
/** `names[0]` is that of redirects whose value is held as a digest. */
const digestRedirect = 0;
const redirectLength = 1 + 65;

/** Pairs of an image of `count` entries, none yet. */
export function newPairs(count: number): Pairs {
  const names = [makeName(redirectName)];
  return {
    nameOf: [],
    valueOf: [],
    uses: [],
    names,
    known: new Map(),
    redirects: newDigestTable(count),
    nameNumbers: new Map(),
  };
}

/** The number of the pair. */
export function pairOf(pairs: Pairs, name: ByteString, value: ByteString): number {
  const key = `${name}\0${value}`;
  const known = pairs.known.get(key);
  if (known !== undefined) return known;
  const pair = addPair(pairs, nameNumber(pairs, name), value);
  pairs.known.set(key, pair);
  return pair;
}

/** The number of the pair `trusted.overlay.redirect` → `/ab/cdef…`. */
export function redirectPair(pairs: Pairs, digest: Digest): number {
  const { slots, mask } = pairs.redirects;
  let slot = firstBits(digest) & mask;
  for (; slots[slot] !== 0; slot = (slot + 1) & mask) {
    const pair = slots[slot]! - 1;
    if (pairs.valueOf[pair] === digest) return pair;
  }
  const pair = addPair(pairs, digestRedirect, digest);
  slots[slot] = pair + 1;
  return pair;
}

export function pairName(pairs: Pairs, pair: number): Name {
  return pairs.names[pairs.nameOf[pair]!]!;
}

export function pairValue(pairs: Pairs, pair: number): ByteString {
  const value = pairs.valueOf[pair]!;
  return pairs.nameOf[pair] === digestRedirect ? `/${digestPath(value)}` : value;
}

/** Bytes of the stored entry, padded. */
export function pairSize(pairs: Pairs, pair: number): number {
  const name = pairs.nameOf[pair]!;
  const value = name === digestRedirect ? redirectLength : pairs.valueOf[pair]!.length;
  return roundUp(xattrEntry + pairs.names[name]!.suffix.length + value, 4);
}

/** Store the entry at `at`. */
export function writePair(pairs: Pairs, pair: number, image: Buffer, at: number): void {
  const { suffix, index } = pairName(pairs, pair);
  const value = pairValue(pairs, pair);
  image[at] = suffix.length;
  image[at + 1] = index;
  image[at + 2] = value.length & 0xff;
  image[at + 3] = value.length >> 8;
  image.write(suffix + value, at + xattrEntry, 'latin1');
}

/** Open addressing by the digest's own bits: a Map of a million strings would take ten times the memory. */
interface DigestTable {
  /** Pair + 1, or 0. */
  readonly slots: Int32Array;
  readonly mask: number;
}

function newDigestTable(count: number): DigestTable {
  const size = 2 ** Math.ceil(Math.log2(count * 1.5 + 16));
  return { slots: new Int32Array(size), mask: size - 1 };
}

/** The first 32 bits. */
function firstBits(digest: Digest): number {
  let bits = 0;
  for (let at = 0; at < 8; at++) {
    const code = digest.charCodeAt(at);
    bits = (bits << 4) | ((code & 15) + (code > 0x39 ? 9 : 0));
  }
  return bits >>> 0;
}

function addPair(pairs: Pairs, name: number, value: ByteString): number {
  pairs.valueOf.push(value);
  pairs.uses.push(0);
  return pairs.nameOf.push(name) - 1;
}

function nameNumber(pairs: Pairs, name: ByteString): number {
  const known = pairs.nameNumbers.get(name);
  if (known !== undefined) return known;
  const number = pairs.names.push(makeName(name)) - 1;
  pairs.nameNumbers.set(name, number);
  return number;
}

function makeName(full: ByteString): Name {
  const [prefix, index] = prefixes.find(([start]) => full.startsWith(start)) ?? ['', 0];
  const suffix = full.slice(prefix.length);
  return { full, index, suffix, filterBit: xxh32(suffix, filterSeed + index) & 31 };
}
