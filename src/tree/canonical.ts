/**
 * What makes a list of entries one canonical tree: order, parents, link counts. Manifests, images, diffs and
 * merges all rely on it, so it is decided and checked here alone.
 */
import type { ByteString } from '../core/bytes.ts';
import { parentPath, type Entry, type Xattrs } from './entry.ts';

export interface TreeProblem {
  /** Of the first entry that is wrong. */
  readonly index: number;
  readonly problem: string;
}

/**
 * Link counts as a manifest shows them: of a directory 2 + its subdirectories, of everything else its names
 * within the tree. Expects canonical order.
 */
export function countLinks(entries: readonly Entry[]): Uint32Array {
  const counts = new Uint32Array(entries.length);
  const directories = new Map<ByteString, number>();
  const names = new Map<ByteString, number>();
  for (const [index, entry] of entries.entries()) {
    if (entry.type !== 'directory') {
      if (entry.hardlink !== undefined) names.set(entry.hardlink, (names.get(entry.hardlink) ?? 1) + 1);
      continue;
    }
    counts[index] = 2;
    directories.set(entry.path, index);
    const parent = entry.path === '/' ? undefined : directories.get(parentPath(entry.path));
    if (parent !== undefined) counts[parent]! += 1;
  }
  for (const [index, entry] of entries.entries()) {
    if (entry.type === 'directory') continue;
    counts[index] = names.size === 0 ? 1 : (names.get(entry.hardlink ?? entry.path) ?? 1);
  }
  return counts;
}

/** The first thing that keeps the list from being a canonical tree. */
export function findProblem(entries: readonly Entry[]): TreeProblem | undefined {
  if (entries[0]?.path !== '/') return { index: 0, problem: 'a tree starts with its root directory' };
  const directories = new Set<ByteString>();
  const firsts = firstNames(entries);
  let previous = '';
  let parent = '';
  for (const [index, entry] of entries.entries()) {
    const { path } = entry;
    if (path <= previous) {
      return { index, problem: path === previous ? 'the path is there twice' : 'paths are not in order' };
    }
    previous = path;
    if (path !== '/') {
      const slash = path.lastIndexOf('/');
      if (slash < 0) return { index, problem: 'the path is not absolute' };
      if (slash !== parent.length || !path.startsWith(parent)) {
        parent = path.slice(0, slash);
        if (!directories.has(parent)) return { index, problem: 'its parent is not a directory of the tree' };
      }
      if (!isName(path, slash + 1)) return { index, problem: 'the path is malformed' };
    }
    const problem = fieldProblem(entry) ?? linkProblem(entry, firsts);
    if (problem !== undefined) return { index, problem };
    if (entry.type === 'directory') directories.add(path === '/' ? '' : path);
    if (firsts.has(path)) firsts.set(path, entry);
  }
  return undefined;
}

export function sameXattrs(a: Xattrs, b: Xattrs): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  return a.every(([name, value], at) => name === b[at]![0] && value === b[at]![1]);
}

/** Everything but path and hard link is equal. */
export function sameInode(a: Entry, b: Entry): boolean {
  return (
    a.type === b.type &&
    a.size === b.size &&
    a.digest === b.digest &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.mtime === b.mtime &&
    a.mtimeNsec === b.mtimeNsec &&
    a.target === b.target &&
    a.rdev === b.rdev &&
    sameXattrs(a.xattrs, b.xattrs)
  );
}

/** Paths that hard links name, each to be filled in when its entry is met. */
function firstNames(entries: readonly Entry[]): Map<ByteString, Entry | undefined> {
  const firsts = new Map<ByteString, Entry | undefined>();
  for (const { hardlink } of entries) if (hardlink !== undefined) firsts.set(hardlink, undefined);
  return firsts;
}

function linkProblem(entry: Entry, firsts: Map<ByteString, Entry | undefined>): string | undefined {
  if (entry.hardlink === undefined) return undefined;
  const first = firsts.get(entry.hardlink);
  if (first === undefined) return 'it is a hard link to a path that is missing or comes later';
  if (first.hardlink !== undefined) return 'it is a hard link to a name that is not the first';
  return sameInode(entry, first) ? undefined : 'it does not repeat the fields of the file it is a link to';
}

function fieldProblem(entry: Entry): string | undefined {
  const { type, size, digest, target, rdev } = entry;
  if (type === 'directory' && entry.hardlink !== undefined) return 'a directory cannot be a hard link';
  if ((digest !== undefined) !== (type === 'file' && size > 0)) return 'content and size do not agree';
  if (type === 'symlink') {
    if (target === undefined || target === '' || target.includes('\0'))
      return 'the symlink has no valid target';
    if (size !== target.length) return 'the size of a symlink is the length of its target';
  } else if (target !== undefined) return 'only a symlink has a target';
  if (size !== 0 && type !== 'file' && type !== 'symlink') return 'only files and symlinks have a size';
  if (rdev !== 0 && type !== 'char' && type !== 'block') return 'only devices have a device number';
  return xattrProblem(entry.xattrs);
}

function xattrProblem(xattrs: Xattrs): string | undefined {
  let previous = '';
  for (const [name] of xattrs) {
    if (name <= previous || name.includes('\0')) return 'extended attributes are not in order';
    previous = name;
  }
  return undefined;
}

/** From `start` to the end of the path there is a proper name, not `.` or `..`. */
function isName(path: ByteString, start: number): boolean {
  const length = path.length - start;
  if (length === 0 || path.includes('\0')) return false;
  return path[start] !== '.' || (length !== 1 && !(length === 2 && path[start + 1] === '.'));
}
