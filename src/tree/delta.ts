/**
 * What to do to a directory that holds one tree so that it holds another: only what differs is touched. No file is ever
 * written into: another content is another inode, so whoever shares the old one (a hard link, a snapshot) keeps it.
 */
import type { ByteString } from '../core/bytes.ts';
import { diffTrees, type Aspect, type Change } from './diff.ts';
import { parentPath, type Entry } from './entry.ts';
import { byPath } from './lookup.ts';

export interface Delta {
  /** Entries of the old tree to take away, children before their directories. */
  readonly remove: readonly Entry[];
  /** Entries of the new tree whose inode stays and gets other metadata; none is a directory. */
  readonly restamp: readonly Entry[];
  /** Directories that are there already and that something happens to: all their metadata is to be set again. */
  readonly reset: readonly Entry[];
  /** Entries of the new tree to make, with all directories of `reset` among them; canonical. */
  readonly make: readonly Entry[];
}

/** Both canonical. Of equal trees, everything is empty. */
export function planDelta(before: readonly Entry[], next: readonly Entry[]): Delta {
  const { added, removed, changed } = diffTrees(before, next);
  if (added.length + removed.length + changed.length === 0)
    return { remove: [], restamp: [], reset: [], make: [] };
  const old = byPath(before);
  const now = byPath(next);
  const [isLinkedBefore, isLinkedNow] = [linked(before), linked(next)];
  const directories = new Set<ByteString>();
  const made = new Set<ByteString>();
  const gone = new Set<ByteString>(removed.map(({ path }) => path));
  const restamp: Entry[] = [];
  const put = (path: ByteString): void => {
    (now.get(path)!.type === 'directory' ? directories : made).add(path);
  };
  for (const { path } of added) put(path);
  for (const change of changed) {
    const { path } = change;
    const bothDirectories = change.type === 'directory' && old.get(path)!.type === 'directory';
    if (!bothDirectories && keepsInode(change) && !isLinkedBefore(path) && !isLinkedNow(path))
      restamp.push(now.get(path)!);
    else {
      put(path);
      if (!bothDirectories) gone.add(path);
    }
  }
  remakeWholeGroups(next, { made, gone, old });
  for (const path of [...gone, ...made, ...directories]) {
    const parent = parentPath(path);
    if (now.get(parent)?.type === 'directory') directories.add(parent);
  }
  // Whoever makes something sets the root's metadata last, whatever happened to it.
  if (directories.size > 0) directories.add('/');
  return {
    remove: before.filter(({ path }) => gone.has(path)).toReversed(),
    restamp,
    reset: next.filter(({ path }) => directories.has(path) && old.get(path)?.type === 'directory'),
    make: next.filter(({ path }) => made.has(path) || directories.has(path)),
  };
}

const outside: ReadonlySet<Aspect> = new Set<Aspect>(['mode', 'owner', 'xattrs', 'mtime']);

function keepsInode({ changed }: Change): boolean {
  return changed.every((aspect) => outside.has(aspect));
}

/** A name that is made again would be an inode of its own, so all names of that inode are. */
function remakeWholeGroups(
  next: readonly Entry[],
  { made, gone, old }: { made: Set<ByteString>; gone: Set<ByteString>; old: ReadonlyMap<ByteString, Entry> },
): void {
  const groups = new Set<ByteString>();
  for (const { path, hardlink } of next) {
    if (hardlink === undefined) continue;
    if (made.has(path) || made.has(hardlink)) groups.add(hardlink);
  }
  if (groups.size === 0) return;
  for (const { path, hardlink } of next) {
    if (!groups.has(hardlink ?? path)) continue;
    made.add(path);
    if (old.has(path)) gone.add(path);
  }
}

function linked(entries: readonly Entry[]): (path: ByteString) => boolean {
  const names = new Set<ByteString>();
  for (const { path, hardlink } of entries) if (hardlink !== undefined) names.add(path).add(hardlink);
  return (path) => names.has(path);
}
