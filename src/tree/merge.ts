/**
 * Lays trees over each other: the layers of a container image, or the parts of a system. The result is a canonical tree;
 * a layer's whiteouts take away from what lies below it and are not part of the result. Where trees of equal rank must
 * not differ, compose.ts sees to it.
 */
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { parentPath, type Entry } from './entry.ts';
import { findEntry } from './lookup.ts';
import { readWhiteouts, type Layer } from './whiteouts.ts';

export interface LayeringOptions {
  /** Entries may be whiteouts of OCI layers; else they are names like any other. */
  readonly whiteouts?: boolean;
}

/** A tree as far as it says what to change in those below it. */
export interface LayerTree {
  /** Canonical. */
  readonly entries: readonly Entry[];
  /** Directories that names imply and that no entry described: they leave what lies below as it is. */
  readonly implied: ReadonlySet<ByteString>;
  /** Names (the first of each inode) for what has another name below, with that name. */
  readonly linksBelow: ReadonlyMap<ByteString, ByteString>;
  /** As in {@link Layer}, where no entries say so. */
  readonly removed: ReadonlySet<ByteString>;
  readonly opaque: ReadonlySet<ByteString>;
}

/** Layers laid over each other one by one, from the lowest up. */
export interface Layering {
  /** What the layers so far come to at a path; the entry's own path may be another name of its inode. */
  below(path: ByteString): Entry | undefined;
  /**
   * Nothing may follow a failure.
   * @throws E_TREE_INVALID for names and whiteouts below a symlink of another layer
   */
  add(layer: LayerTree): void;
  finish(): Entry[];
}

/** One name of the result, and the entry whose inode it has: names of one inode have one and the same object. */
interface Placed {
  readonly path: ByteString;
  readonly inode: Entry;
  /** There are, or were, other names for this inode. */
  linked: boolean;
}

/**
 * `layers` from the lowest up, each canonical and without whiteouts. Hard links hold within a layer; where a later layer
 * replaces one name of a file, the other names keep the file they had.
 */
export function mergeTrees(layers: readonly (readonly Entry[])[]): Entry[] {
  const layering = createLayering();
  for (const entries of layers) layering.add(plainLayer(entries));
  return layering.finish();
}

/** Of a tree that takes nothing away from those below it and describes all that it has. */
export function plainLayer(entries: readonly Entry[]): LayerTree {
  const none = new Set<ByteString>();
  return { entries, implied: none, linksBelow: new Map(), removed: none, opaque: none };
}

export function createLayering({ whiteouts = false }: LayeringOptions = {}): Layering {
  let merged: readonly Placed[] = [];
  return {
    below: (path) => findEntry(merged, path)?.inode,
    add(tree) {
      const marked = whiteouts ? readWhiteouts(tree.entries) : plainLayer(tree.entries);
      const layer = {
        entries: marked.entries,
        removed: marked.removed.union(tree.removed),
        opaque: marked.opaque.union(tree.opaque),
      };
      refuseThroughSymlinks(layer, merged);
      const above = placeLayer(layer, linkTargets(tree.linksBelow, merged));
      merged = lay(merged, above, { layer, implied: tree.implied });
    },
    finish: () => linkNames(merged),
  };
}

interface Laying {
  readonly layer: Layer;
  readonly implied: ReadonlySet<ByteString>;
}

function lay(below: readonly Placed[], above: readonly Placed[], laying: Laying): Placed[] {
  const { layer } = laying;
  const merged: Placed[] = [];
  const gone = new Set<ByteString>();
  let [low, high] = [0, 0];
  while (low < below.length || high < above.length) {
    const lower = below[low];
    const upper = above[high];
    if (lower === undefined || (upper !== undefined && upper.path < lower.path)) {
      merged.push(upper!);
      high++;
      continue;
    }
    low++;
    const hidden = isHidden(lower.path, { gone, layer });
    if (upper?.path === lower.path) {
      high++;
      const here = hidden ? upper : meet(lower, upper, laying.implied);
      if (hidden || !isDirectory(lower) || !isDirectory(here)) gone.add(lower.path);
      merged.push(here);
    } else if (hidden) gone.add(lower.path);
    else merged.push(lower);
  }
  return merged;
}

interface Hiding {
  /** Directories of the layers below whose content is not seen. */
  readonly gone: ReadonlySet<ByteString>;
  readonly layer: Layer;
}

function isHidden(path: ByteString, { gone, layer }: Hiding): boolean {
  if (path === '/') return false;
  if (layer.removed.has(path)) return true;
  if (gone.size + layer.opaque.size === 0) return false;
  const parent = parentPath(path);
  return gone.has(parent) || layer.opaque.has(parent);
}

/** What a path comes to that both have. A directory that is only implied leaves one below as it is. */
function meet(lower: Placed, upper: Placed, implied: ReadonlySet<ByteString>): Placed {
  if (!implied.has(upper.path)) return upper;
  if (lower.inode.type === 'symlink') throw throughSymlink(lower.path);
  return isDirectory(lower) ? lower : upper;
}

/** Some engines follow it and take away what it points to, others replace it. */
function refuseThroughSymlinks({ removed, opaque }: Layer, below: readonly Placed[]): void {
  const check = (directory: ByteString): void => {
    for (let path = directory; path !== '/' && !removed.has(path); path = parentPath(path))
      if (findEntry(below, path)?.inode.type === 'symlink') throw throughSymlink(path);
  };
  for (const path of removed) check(parentPath(path));
  for (const path of opaque) check(path);
}

function throughSymlink(path: ByteString): CellarError {
  const problem = 'it is a symlink in the layers below, and this one has names below it; none is followed';
  return new CellarError('E_TREE_INVALID', { details: { path: toText(path), problem } });
}

const isDirectory = ({ inode }: Placed): boolean => inode.type === 'directory';

/** `firsts`: inodes that names of the layer stand for; others are found here. */
function placeLayer({ entries }: Layer, firsts: Map<ByteString, Entry>): Placed[] {
  const links = new Set<ByteString>(firsts.keys());
  for (const { hardlink } of entries) if (hardlink !== undefined) links.add(hardlink);
  return entries.map((entry) => {
    const name = entry.hardlink ?? entry.path;
    const linked = links.has(name);
    const inode = (linked ? firsts.get(name) : undefined) ?? entry;
    if (linked) firsts.set(name, inode);
    return { path: entry.path, inode, linked };
  });
}

/** The inodes below that names of a layer are links to. */
function linkTargets(
  linksBelow: ReadonlyMap<ByteString, ByteString>,
  below: readonly Placed[],
): Map<ByteString, Entry> {
  const targets = new Map<ByteString, Entry>();
  for (const [name, target] of linksBelow) {
    const placed = findEntry(below, target);
    if (placed === undefined) throw new Error(`${name} is a link to ${target}, which is not there`);
    placed.linked = true;
    targets.set(name, placed.inode);
  }
  return targets;
}

/** Of the names that an inode has left, the first becomes the file and the others links to it. */
function linkNames(merged: readonly Placed[]): Entry[] {
  const firsts = new Map<Entry, ByteString>();
  return merged.map(({ path, inode, linked }) => {
    if (!linked) return inode;
    const { hardlink: _, ...fields } = inode;
    const first = firsts.get(inode);
    if (first !== undefined) return { ...fields, path, hardlink: first };
    firsts.set(inode, path);
    return { ...fields, path };
  });
}
