/**
 * What differs between two trees, in one pass over their canonical lists. Nothing is reported exactly when the
 * trees have one digest, so a change of hard links alone counts too.
 */
import type { ByteString } from '../core/bytes.ts';
import { sameXattrs } from './canonical.ts';
import type { Entry, EntryType } from './entry.ts';
import { findEntry } from './lookup.ts';

/**
 * `content`: bytes of a file, target of a symlink, number of a device. `owner`: uid or gid. `type`: the kind of
 * file, or which names share its inode.
 */
export type Aspect = 'content' | 'mode' | 'owner' | 'xattrs' | 'mtime' | 'type';

export interface Change {
  readonly path: ByteString;
  /** Of what was added, of what was removed, and of the new side of a change. */
  readonly type: EntryType;
  readonly size: number;
  /** Of the old side, for changes. */
  readonly oldType?: EntryType;
  readonly oldSize?: number;
  /** Empty for what was added or removed. */
  readonly changed: readonly Aspect[];
}

/** Each list in canonical order of paths. */
export interface TreeDiff {
  readonly added: readonly Change[];
  readonly removed: readonly Change[];
  readonly changed: readonly Change[];
}

/** From `a` to `b`, both canonical. */
export function diffTrees(a: readonly Entry[], b: readonly Entry[]): TreeDiff {
  const [added, removed, changed]: [Change[], Change[], Change[]] = [[], [], []];
  const sides: Sides = { a, b, leadersA: new Map(), leadersB: new Map() };
  let [left, right] = [0, 0];
  while (left < a.length || right < b.length) {
    const before = a[left];
    const after = b[right];
    if (after === undefined || (before !== undefined && before.path < after.path)) {
      removed.push(oneSided(before!));
      left++;
    } else if (before === undefined || after.path < before.path) {
      added.push(oneSided(after));
      right++;
    } else {
      const aspects = compare(before, after);
      if (linksDiffer(before, after, sides) && !aspects.includes('type')) aspects.push('type');
      if (aspects.length > 0) changed.push(bothSided(before, after, aspects));
      left++;
      right++;
    }
  }
  return { added, removed, changed };
}

function compare(a: Entry, b: Entry): Aspect[] {
  const aspects: Aspect[] = [];
  if (a.digest !== b.digest || a.target !== b.target || a.rdev !== b.rdev || a.size !== b.size) {
    aspects.push('content');
  }
  if (a.mode !== b.mode) aspects.push('mode');
  if (a.uid !== b.uid || a.gid !== b.gid) aspects.push('owner');
  if (!sameXattrs(a.xattrs, b.xattrs)) aspects.push('xattrs');
  if (a.mtime !== b.mtime || a.mtimeNsec !== b.mtimeNsec) aspects.push('mtime');
  if (a.type !== b.type) aspects.push('type');
  return aspects;
}

interface Sides {
  readonly a: readonly Entry[];
  readonly b: readonly Entry[];
  /** Of a group of hard links, by its first name: the first name that the other tree has as well. */
  readonly leadersA: Map<ByteString, ByteString>;
  readonly leadersB: Map<ByteString, ByteString>;
}

/** Names that come and go are reported as such, and do not change the others of their group. */
function linksDiffer(before: Entry, after: Entry, { a, b, leadersA, leadersB }: Sides): boolean {
  if (before.hardlink === undefined && after.hardlink === undefined) return false;
  return leaderOf(before, b, leadersA) !== leaderOf(after, a, leadersB);
}

function leaderOf(
  { path, hardlink }: Entry,
  other: readonly Entry[],
  leaders: Map<ByteString, ByteString>,
): ByteString {
  if (hardlink === undefined) return path;
  const known = leaders.get(hardlink);
  if (known !== undefined) return known;
  const leader = findEntry(other, hardlink) === undefined ? path : hardlink;
  leaders.set(hardlink, leader);
  return leader;
}

function oneSided({ path, type, size }: Entry): Change {
  return { path, type, size, changed: [] };
}

function bothSided(before: Entry, after: Entry, changed: readonly Aspect[]): Change {
  const { path, type, size } = after;
  return { path, type, size, oldType: before.type, oldSize: before.size, changed };
}
