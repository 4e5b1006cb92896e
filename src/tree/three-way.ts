/**
 * Two trees that came from one, put together again: an instance with its own changes, and the newer base. Each path
 * keeps the change that one side made; where both made one, somebody has to decide, since half of each (the mode of
 * one, the content of the other) is what nobody made.
 */
import type { ByteString } from '../core/bytes.ts';
import { sameInode } from './canonical.ts';
import { parentPath, type Entry } from './entry.ts';
import { byPath } from './lookup.ts';

export interface ThreeTrees {
  /** What both sides came from. Each list canonical. */
  readonly base: readonly Entry[];
  readonly mine: readonly Entry[];
  readonly next: readonly Entry[];
  /** Whose entry a conflict comes to. Default `next`. */
  readonly take?: Side;
}

export type Side = 'mine' | 'next';

export interface ThreeWay {
  /** Canonical, with conflicts decided. */
  readonly entries: Entry[];
  /** Paths in order: changed on both sides, or below a directory that the other side took away. */
  readonly conflicts: readonly ByteString[];
}

/**
 * A path is compared as a whole, with all its metadata. A change of the time alone gives way to any other change; where
 * both sides changed nothing but it, the newer base's counts. Of directories it does not count at all: names below them
 * set it.
 * Names are one inode in the result that are one on either side and still equal, unless the other side parted them.
 */
export function mergeThree({ base, mine, next, take = 'next' }: ThreeTrees): ThreeWay {
  const sides: Sides = { base: byPath(base), mine: byPath(mine), next: byPath(next) };
  const paths = [...new Set([...sides.mine.keys(), ...sides.next.keys()])].sort(byteOrder);
  const conflicts = new Set<ByteString>();
  const merged: Merged = new Map();
  for (const path of paths) {
    const decided = decide(sides, path);
    if (decided === undefined) conflicts.add(path);
    const side = decided ?? take;
    const entry = sides[side].get(path);
    if (entry === undefined) continue;
    const blocked = path !== '/' && isBlocked(entry, side, sides);
    if (blocked) conflicts.add(path);
    if (blocked && side !== take) continue;
    if (blocked) bringBack(merged, path, sides[side]);
    merged.set(path, entry);
  }
  const entries = [...merged.values()].sort((a, b) => byteOrder(a.path, b.path));
  return { entries: linkNames(entries, sides), conflicts: [...conflicts] };
}

type ByPath = ReadonlyMap<ByteString, Entry>;
type Sides = Readonly<Record<'base' | Side, ByPath>>;
type Merged = Map<ByteString, Entry>;

function byteOrder(a: ByteString, b: ByteString): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** @returns `undefined` for a conflict */
function decide({ base, mine, next }: Sides, path: ByteString): Side | undefined {
  const [before, own, newer] = [base.get(path), mine.get(path), next.get(path)];
  if (isUntouched(own, before)) return 'next';
  if (isUntouched(newer, before)) return 'mine';
  if (isSame(own, before)) return 'next';
  if (isSame(newer, before)) return 'mine';
  return isSame(own, newer) ? 'next' : undefined;
}

function isUntouched(a: Entry | undefined, b: Entry | undefined): boolean {
  return a === undefined || b === undefined || a.type === 'directory' ? isSame(a, b) : sameInode(a, b);
}

/** But for the time. */
function isSame(a: Entry | undefined, b: Entry | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const { mtime, mtimeNsec } = a;
  return sameInode(a, { ...b, mtime, mtimeNsec });
}

/**
 * Whether one side has a path below a directory that the other side took away, or put something else in the place of.
 * (Where the other side is as the base, it is this side that made the directory.)
 */
function isBlocked({ path }: Entry, side: Side, sides: Sides): boolean {
  const other = sides[side === 'mine' ? 'next' : 'mine'];
  for (let above = parentPath(path); ; above = parentPath(above)) {
    const there = other.get(above);
    if (there?.type === 'directory') return false;
    if (!isSame(there, sides.base.get(above))) return true;
  }
}

/** The directories of a path, as its side has them. */
function bringBack(merged: Merged, path: ByteString, own: ByPath): void {
  for (let above = parentPath(path); merged.get(above)?.type !== 'directory'; above = parentPath(above))
    merged.set(above, own.get(above)!);
}

/** Of the names of an inode the first becomes the file, the others links to it. */
function linkNames(entries: readonly Entry[], sides: Sides): Entry[] {
  const sets = createSets();
  const merged = byPath(entries);
  const bases = groups(sides.base);
  for (const [side, other] of [
    ['mine', 'next'],
    ['next', 'mine'],
  ] as const) {
    const others = groups(sides[other]);
    const clusters = new Map<ByteString, Entry[]>();
    for (const [path, group] of groups(sides[side])) {
      const known = clusters.get(group);
      const entry = sides[side].get(path)!;
      if (known === undefined) clusters.set(group, [entry]);
      else known.push(entry);
    }
    for (const names of clusters.values()) {
      const kept = names.filter((name) => {
        const result = merged.get(name.path);
        return result !== undefined && sameInode(result, name);
      });
      const together = withoutParted(kept, bases, (path) =>
        sides[other].has(path) ? (others.get(path) ?? path) : undefined,
      );
      for (const { path } of together) sets.join(together[0]!.path, path);
    }
  }
  const firsts = new Map<ByteString, ByteString>();
  return entries.map(({ hardlink: _, ...own }) => {
    const set = sets.find(own.path);
    const first = firsts.get(set);
    if (first !== undefined) return { ...own, hardlink: first };
    firsts.set(set, own.path);
    return own;
  });
}

/** Every name that shares its inode, with the first name of it. */
function groups(entries: ByPath): Map<ByteString, ByteString> {
  const found = new Map<ByteString, ByteString>();
  for (const { path, hardlink } of entries.values()) {
    if (hardlink === undefined) continue;
    found.set(hardlink, hardlink);
    found.set(path, hardlink);
  }
  return found;
}

/** Names that were one inode and that the other side has as several: those beside the first one's stay apart. */
function withoutParted(
  names: readonly Entry[],
  bases: ReadonlyMap<ByteString, ByteString>,
  elsewhere: (path: ByteString) => ByteString | undefined,
): Entry[] {
  const inodes = new Map<ByteString, ByteString>();
  return names.filter(({ path }) => {
    const before = bases.get(path);
    const now = elsewhere(path);
    if (before === undefined || now === undefined) return true;
    const first = inodes.get(before);
    if (first === undefined) inodes.set(before, now);
    return first === undefined || first === now;
  });
}

interface Sets {
  find(name: ByteString): ByteString;
  join(a: ByteString, b: ByteString): void;
}

function createSets(): Sets {
  const parents = new Map<ByteString, ByteString>();
  const find = (name: ByteString): ByteString => {
    let top = name;
    for (let up = parents.get(top); up !== undefined; up = parents.get(top)) top = up;
    for (let at = name; at !== top;) {
      const up = parents.get(at)!;
      parents.set(at, top);
      at = up;
    }
    return top;
  };
  return {
    find,
    join(a, b) {
      const [one, two] = [find(a), find(b)];
      if (one !== two) parents.set(two, one);
    },
  };
}
