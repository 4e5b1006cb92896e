/**
 * What a writable overlay shows, read at the cost of what was changed. The upper directory tells which names were
 * touched; those, and only those, are looked at through the mounted overlay. Everything else is taken over from the
 * manifest of the lower tree.
 *
 * So the kernel itself answers for whiteouts, opaque directories, escaped and hidden xattrs, inherited metadata and
 * hard links. Of overlayfs's own format (Documentation/filesystems/overlayfs.rst) this file knows:
 *   trusted.overlay.redirect   lower directory, or lower file of a metacopy, that has another name now
 *   trusted.overlay.opaque=y   a directory without a lower one
 *   trusted.overlay.metacopy   a file whose metadata was copied up and whose content was not
 *   work/index                 lower inodes with several names that were copied up (see overlay-links.ts)
 */
import { closeSync, constants, lstatSync, openSync, readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { fstatFull, lstatFull } from '../sys/stat.ts';
import { getXattr } from '../sys/xattr.ts';
import type { Candidate } from './candidate.ts';
import { describeInode, inodeKey, readingSource, sourceChanged } from './directory.ts';
import type { Entry } from './entry.ts';
import { groupItems, joinIndexed, type Item } from './overlay-links.ts';
import { createLowerTree, type LowerTree } from './lower-tree.ts';

export interface OverlayLayers {
  /** All entries of the lower tree in canonical order, with digests. */
  readonly lower: readonly Entry[];
  /** Directory of the lower tree that the view shows as its root; `/` unless a subtree is mounted. */
  readonly lowerRoot: ByteString;
  readonly upper: ByteString;
  readonly work: ByteString;
  /** The mounted overlay (or its subtree), best without what is mounted below it. */
  readonly view: ByteString;
}

export interface OverlayReadOptions {
  /** As made by exclude.ts: true also for everything below an excluded directory. */
  readonly exclude?: (path: ByteString) => boolean;
  readonly signal?: AbortSignal;
  /** What messages call the root of the view. */
  readonly displayRoot?: ByteString;
}

/**
 * Every path of the view in canonical order, those that nobody touched with `isTakenOver`. `undefined` when the view
 * shows a name that neither layer explains: then only a full scan tells the truth.
 * @throws E_SOURCE_CHANGED, E_NOT_ALLOWED, E_CANCELLED, E_IO
 */
export async function readOverlay(
  layers: OverlayLayers,
  options: OverlayReadOptions = {},
): Promise<Candidate[] | undefined> {
  const walk: Walk = { layers, options, lower: createLowerTree(layers.lower), items: [], directories: 0 };
  if (!(await readRoot(walk))) return undefined;
  guard(walk, '', () => joinIndexed(layers, walk.items));
  return groupItems(walk.items);
}

async function readRoot(walk: Walk): Promise<boolean> {
  const { lowerRoot, upper, view } = walk.layers;
  const lowerPath = lowerRoot === '/' ? '' : lowerRoot;
  const isTouched = lstatSync(toBytes(upper + lowerPath), { throwIfNoEntry: false }) !== undefined;
  if (!isTouched) return takeOver(walk, lowerPath, '');
  const location = `${view}/.`;
  const entry = guard(walk, '', () => describeInode('/', lstatFull(location), location));
  walk.items.push({ entry, origin: walk.lower.find(lowerRoot) });
  return await enter(walk, { path: '', lowerPath }, { view: location, upper: upper + lowerPath });
}

interface Walk {
  readonly layers: OverlayLayers;
  readonly options: OverlayReadOptions;
  readonly lower: LowerTree;
  readonly items: Item[];
  directories: number;
}

/** A directory of the upper. Paths are `''` for a root; without a lower directory `lowerPath` is undefined. */
interface Merged {
  readonly path: ByteString;
  readonly lowerPath: ByteString | undefined;
}

/** Where a name is in the view and in the upper. */
interface Locations {
  readonly view: ByteString;
  readonly upper: ByteString;
}

/** Each level is opened relative to the one above and never through a symlink: the checkout may be in use. */
async function enter(walk: Walk, merged: Merged, at: Locations): Promise<boolean> {
  const { signal, exclude } = walk.options;
  if (signal?.aborted === true) throw new CellarError('E_CANCELLED');
  if (++walk.directories % 64 === 0) await setImmediate();
  using opened = guard(walk, merged.path, () => openBoth(at));
  const touched = new Set(readdirSync(opened.upper, { encoding: 'latin1' }));
  for (const name of readdirSync(opened.view, { encoding: 'latin1' })) {
    const path = `${merged.path}/${name}`;
    if (exclude?.(path) === true) continue;
    const lowerPath = merged.lowerPath === undefined ? undefined : `${merged.lowerPath}/${name}`;
    if (!touched.has(name)) {
      if (lowerPath === undefined || !takeOver(walk, lowerPath, path)) return false;
      continue;
    }
    const locations = { view: `${opened.view}/${name}`, upper: `${opened.upper}/${name}` };
    const below = guard(walk, path, () =>
      readTouched(walk, { path, lowerPath }, { locations, parent: merged }),
    );
    if (below !== undefined && !(await enter(walk, below, locations))) return false;
  }
  if (opened.hasChanged()) throw sourceChanged(display(walk, merged.path));
  return true;
}

/** Adds the item of a name; what to go down into when it is a directory. */
function readTouched(
  walk: Walk,
  { path, lowerPath }: Merged,
  { locations, parent }: { locations: Locations; parent: Merged },
): Merged | undefined {
  const stat = lstatFull(locations.view);
  const entry = describeInode(path, stat, locations.view);
  const redirect = getXattr(locations.upper, 'trusted.overlay.redirect');
  const before = lowerCounterpart(walk, { lowerPath, redirect, parent });
  const origin = before?.type === entry.type ? before : undefined;
  if (entry.type === 'directory') {
    const isOpaque = getXattr(locations.upper, 'trusted.overlay.opaque') === 'y';
    walk.items.push({ entry, origin });
    return { path, lowerPath: isOpaque ? undefined : origin?.path };
  }
  const isContent = entry.type === 'file' && entry.size > 0;
  const isMetacopy = isContent && getXattr(locations.upper, 'trusted.overlay.metacopy') !== undefined;
  const digest = isMetacopy && origin?.size === entry.size ? origin.digest : undefined;
  walk.items.push({
    entry: digest === undefined ? entry : { ...entry, digest },
    origin,
    key: inodeKey(stat),
    ...(isContent && digest === undefined ? { read: { location: walk.layers.view + path, stat } } : {}),
  });
  return undefined;
}

/** The lower entry that a name of the upper was copied up from: a redirect says where it was, absolute or beside. */
function lowerCounterpart(
  walk: Walk,
  name: { lowerPath: ByteString | undefined; redirect: ByteString | undefined; parent: Merged },
): Entry | undefined {
  const { redirect, parent } = name;
  if (redirect?.startsWith('/') === true) return walk.lower.find(redirect);
  if (parent.lowerPath === undefined) return undefined;
  return walk.lower.find(redirect === undefined ? name.lowerPath! : `${parent.lowerPath}/${redirect}`);
}

/** Take over a lower path, with all below it, under the name `path` (`''` for the root). False when there is none. */
function takeOver(walk: Walk, lowerPath: ByteString, path: ByteString): boolean {
  const { lower, options, items } = walk;
  const top = lower.find(lowerPath === '' ? '/' : lowerPath);
  if (top === undefined) return false;
  const add = (entry: Entry): void => {
    const moved = path + entry.path.slice(lowerPath.length);
    if (entry !== top && options.exclude?.(moved) === true) return;
    const group = lower.group(entry);
    items.push({
      entry: moved === entry.path ? entry : { ...entry, path: moved === '' ? '/' : moved },
      isTakenOver: true,
      origin: entry,
      ...(group === undefined ? {} : { key: `lower:${group}` }),
    });
  };
  add(top);
  if (top.type === 'directory') for (const entry of lower.below(lowerPath)) add(entry);
  return true;
}

interface Opened extends Locations, Disposable {
  /** Whether a name came or went since. */
  hasChanged(): boolean;
}

function openBoth(at: Locations): Opened {
  using stack = new DisposableStack();
  const [view, upper] = [at.view, at.upper].map((path) => stack.adopt(openDirectory(path), closeSync));
  const before = fstatFull(view!);
  const owned = stack.move();
  return {
    view: `/proc/self/fd/${view}`,
    upper: `/proc/self/fd/${upper}`,
    hasChanged() {
      const { mtime, mtimeNsec } = fstatFull(view!);
      return mtime !== before.mtime || mtimeNsec !== before.mtimeNsec;
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function openDirectory(path: ByteString): number {
  return openSync(toBytes(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function guard<T>(walk: Walk, path: ByteString, work: () => T): T {
  return readingSource(display(walk, path), work);
}

function display(walk: Walk, path: ByteString): ByteString {
  return `${walk.options.displayRoot ?? walk.layers.view}${path}`;
}
