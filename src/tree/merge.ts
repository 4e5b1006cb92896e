/**
 * Lays trees over each other: the layers of a container image, or a site's files over a base. The result is a
 * canonical tree; a layer's whiteouts take away from what lies below it and are not part of the result.
 */
import type { ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { sameInode } from './canonical.ts';
import { parentPath, type Entry } from './entry.ts';
import { readLayer, type Layer, type WhiteoutForm } from './whiteouts.ts';

export interface MergeOptions {
  /**
   * When a path is in several layers: `last` (default) takes that of the last; `identical` allows it only when it
   * is the same file (directories may differ, the last one's metadata counts).
   */
  readonly conflicts?: 'last' | 'identical';
  /** `oci`: `.wh.name` and `.wh..wh..opq`. `overlay`: devices 0:0 and opaque marks. Default `none`. */
  readonly whiteouts?: WhiteoutForm;
}

/** One name of the result, and the entry whose inode it has: names of one inode have one and the same object. */
interface Placed {
  readonly path: ByteString;
  readonly inode: Entry;
  /** Its layer has other names for this inode. */
  readonly linked: boolean;
}

/**
 * `layers` from the lowest up, each canonical. Hard links hold within a layer; where a later layer replaces one
 * name of a file, the other names keep the file they had.
 * @throws E_MERGE_CONFLICT, E_TREE_INVALID for an overlay's redirects, which need the layers they point into
 */
export function mergeTrees(layers: readonly (readonly Entry[])[], options: MergeOptions = {}): Entry[] {
  const { conflicts = 'last', whiteouts = 'none' } = options;
  let merged: readonly Placed[] = [];
  for (const entries of layers) {
    const layer = readLayer(entries, whiteouts);
    merged = lay(merged, placeLayer(layer), { layer, conflicts });
  }
  return linkNames(merged);
}

interface Laying {
  readonly layer: Layer;
  readonly conflicts: 'last' | 'identical';
}

function lay(below: readonly Placed[], above: readonly Placed[], { layer, conflicts }: Laying): Placed[] {
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
      const isMerged = upper.inode.type === 'directory' && lower.inode.type === 'directory';
      if (hidden || !isMerged) gone.add(lower.path);
      merged.push(hidden ? upper : choose(lower, upper, conflicts));
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

function choose(lower: Placed, upper: Placed, conflicts: 'last' | 'identical'): Placed {
  if (conflicts === 'last') return upper;
  if (upper.inode.type === 'directory' && lower.inode.type === 'directory') return upper;
  if (!sameInode(lower.inode, upper.inode)) {
    throw new CellarError('E_MERGE_CONFLICT', { details: { path: upper.path } });
  }
  return upper.linked ? upper : lower;
}

function placeLayer({ entries }: Layer): Placed[] {
  const links = new Set<ByteString>();
  for (const { hardlink } of entries) if (hardlink !== undefined) links.add(hardlink);
  const firsts = new Map<ByteString, Entry>();
  return entries.map((entry) => {
    const name = entry.hardlink ?? entry.path;
    const linked = links.has(name);
    const inode = (linked ? firsts.get(name) : undefined) ?? entry;
    if (linked) firsts.set(name, inode);
    return { path: entry.path, inode, linked };
  });
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
