/**
 * Trees of equal rank put together: chunks into a stratum, strata into a system. Unlike the layers of an image none of
 * them was made to lie over the others, so where two have a path and differ somebody has to decide.
 */
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { makedev } from '../core/rdev.ts';
import { sameInode } from './canonical.ts';
import { impliedDirectory, noXattrs, parentPath, type Entry } from './entry.ts';
import { createLayering, plainLayer, type LayerTree } from './merge.ts';

export interface Part {
  /** For messages. */
  readonly name: string;
  readonly entries: readonly Entry[];
}

export interface Device {
  readonly type: 'char' | 'block';
  readonly major: number;
  readonly minor: number;
  readonly uid: number;
  readonly gid: number;
  /** Permission bits. */
  readonly mode: number;
  readonly path: ByteString;
}

/** A path that several parts have and that differs, with their names in order. */
export interface Conflict {
  readonly path: ByteString;
  readonly parts: readonly string[];
}

export type OnConflict = 'error' | 'first' | 'last';

export interface Composed {
  /** Canonical. */
  readonly entries: Entry[];
  /** Those that were decided. */
  readonly conflicts: readonly Conflict[];
}

/**
 * The ordered union. Directories are united, the last one's metadata counts (the first one's for `first`), and so does
 * its time for files that differ in nothing else.
 * @throws E_MERGE_CONFLICT with all paths in `details.conflicts` unless `onConflict` decides, E_TREE_INVALID for a
 *   device below something that is no directory
 */
export function composeTrees(
  parts: readonly Part[],
  { devices = [], onConflict }: { devices?: readonly Device[]; onConflict: OnConflict },
): Composed {
  const above = devices.length === 0 ? [] : [deviceLayer(devices)];
  const listed = above.map(({ entries }) => ({ name: 'the list of devices', entries }));
  const conflicts = findConflicts([...parts, ...listed]);
  const [first] = conflicts;
  if (first !== undefined && onConflict === 'error') {
    throw new CellarError('E_MERGE_CONFLICT', {
      details: { path: toText(first.path), conflicts: conflicts.map(describe), count: conflicts.length },
      hint: `${conflicts.slice(0, shown).map(describe).join('; ')}${more(conflicts.length)}; --on-conflict=first or =last decides`,
    });
  }
  const layers = [...parts.map(({ entries }) => plainLayer(entries)), ...above];
  const layering = createLayering();
  for (const layer of onConflict === 'first' ? layers.toReversed() : layers) layering.add(layer);
  return { entries: layering.finish(), conflicts };
}

/**
 * In the order of paths. What lies below a path that is no directory everywhere is not told of again.
 * @param parts each in canonical order, though parents may be missing
 */
export function findConflicts(parts: readonly Part[]): Conflict[] {
  const seen = new Map<ByteString, { entry: Entry; owners: string[]; differs: boolean }>();
  for (const { name, entries } of parts) {
    for (const entry of entries) {
      const known = seen.get(entry.path);
      if (known === undefined) {
        seen.set(entry.path, { entry, owners: [name], differs: false });
        continue;
      }
      known.owners.push(name);
      known.differs ||= !agree(known.entry, entry);
    }
  }
  const found = [...seen].filter(([, { differs }]) => differs);
  const paths = new Set(found.map(([path]) => path));
  return found
    .filter(([path]) => !isBelow(path, paths))
    .map(([path, { owners }]) => ({ path, parts: owners }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Number of conflicts told of in a hint; all of them are in the details. */
const shown = 10;

function more(count: number): string {
  return count > shown ? ` and ${count - shown} more` : '';
}

function describe({ path, parts }: Conflict): string {
  return `${toText(path)} (${parts.join(', ')})`;
}

function agree(a: Entry, b: Entry): boolean {
  if (a.type === 'directory' && b.type === 'directory') return true;
  const { mtime, mtimeNsec } = a;
  return sameInode(a, { ...b, mtime, mtimeNsec });
}

function isBelow(path: ByteString, paths: ReadonlySet<ByteString>): boolean {
  for (let above = parentPath(path); above !== '/'; above = parentPath(above))
    if (paths.has(above)) return true;
  return false;
}

/** With the directories that the names imply, which leave those of the parts as they are. */
function deviceLayer(devices: readonly Device[]): LayerTree {
  const entries = new Map(devices.map((device) => [device.path, deviceEntry(device)]));
  const implied = new Set<ByteString>();
  for (const path of [...entries.keys()]) {
    for (let above = parentPath(path); ; above = parentPath(above)) {
      if (!entries.has(above)) {
        entries.set(above, impliedDirectory(above));
        implied.add(above);
      }
      if (above === '/') break;
    }
  }
  const sorted = [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return { ...plainLayer(sorted), implied };
}

function deviceEntry({ major, minor, ...device }: Device): Entry {
  return { ...device, rdev: makedev(major, minor), mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0 };
}
