/** Finding a path in a tree, also through the tree's own symlinks: what a process chrooted into it would open. */
import { fromText, type ByteString } from '../core/bytes.ts';
import { childPath, parentPath, type Entry } from './entry.ts';

/** Symlinks followed at most, as path_resolution(7) has it on Linux. */
const maxLinks = 40;

interface Named {
  readonly path: ByteString;
}

/** Index of the first whose path is not less than `path`. `entries` are in the order of paths. */
export function lowerBound(entries: readonly Named[], path: ByteString): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (entries[middle]!.path < path) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** For many questions of one list: each entry by its path. */
export function byPath(entries: readonly Entry[]): Map<ByteString, Entry> {
  return new Map(entries.map((entry) => [entry.path, entry]));
}

/** The entry at exactly `path`. `entries` are in canonical order. */
export function findEntry<T extends Named>(entries: readonly T[], path: ByteString): T | undefined {
  const entry = entries[lowerBound(entries, path)];
  return entry?.path === path ? entry : undefined;
}

/** As `findEntry`, following symlinks on the way and at the end. `..` never leaves the tree. */
export function followPath(entries: readonly Entry[], path: ByteString): Entry | undefined {
  let links = 0;
  let rest = components(path);
  let at = '/';
  while (rest.length > 0) {
    const [name, ...after] = rest as [string, ...string[]];
    rest = after;
    if (name === '..') {
      at = parentPath(at);
      continue;
    }
    const entry = findEntry(entries, childPath(at, name));
    if (entry === undefined) return undefined;
    if (entry.type !== 'symlink') {
      at = entry.path;
      continue;
    }
    if (++links > maxLinks) return undefined;
    const target = entry.target ?? '';
    if (target.startsWith('/')) at = '/';
    rest = [...components(target), ...rest];
  }
  return findEntry(entries, at);
}

/** What the user typed as a path of the tree: absolute, without `.`, `..` and doubled slashes. */
export function normalPath(path: ByteString): ByteString {
  const names: string[] = [];
  for (const name of components(path)) {
    if (name === '..') names.pop();
    else names.push(name);
  }
  return `/${names.join('/')}`;
}

/** A path in a tree as a user gives it: `/dev/null` for `dev/null` and `./dev//null`; none with a `..` or a NUL, nor the root. */
export function pathInTree(text: string): ByteString | undefined {
  const names = components(fromText(text));
  return names.length === 0 || names.includes('..') || text.includes('\0')
    ? undefined
    : `/${names.join('/')}`;
}

/** The entry at `path` and everything below it. */
export function* entriesBelow(entries: readonly Entry[], path: ByteString): Generator<Entry> {
  const prefix = path === '/' ? '/' : `${path}/`;
  for (const entry of entries) if (entry.path === path || entry.path.startsWith(prefix)) yield entry;
}

function components(path: ByteString): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
