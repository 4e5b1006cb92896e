/**
 * A directory of the machine as a tree. The walk never follows a symlink, never enters a mount point and notices
 * when something changes under it: every directory is opened without following links, must be the inode that its
 * parent's listing showed, and its children are looked up relative to that open directory.
 *
 * Metadata is reported as it is. Nothing of overlayfs (whiteouts, `*.overlay.*` xattrs) is interpreted here.
 */
import { closeSync, constants, openSync, readdirSync, readlinkSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';
import { requireProc } from '../sys/proc.ts';
import { fstatFull, lstatFull, type FileStat } from '../sys/stat.ts';
import { listXattrs } from '../sys/xattr.ts';
import { typeFromMode, type Entry } from './entry.ts';

export interface ScanOptions {
  /** Paths within the tree to leave out, with all below them (see exclude.ts). The root is always kept. */
  readonly exclude?: (path: ByteString) => boolean;
  readonly signal?: AbortSignal;
  /** What messages call the root, when it is reached by another path. */
  readonly displayRoot?: ByteString;
  /** Group names by inode even where the link count is 1: fuse-overlayfs counts only the names it was asked for. */
  readonly ignoreLinkCounts?: boolean;
  /** Told of every mount point met, by its path within the tree. */
  readonly onMountPoint?: (path: ByteString) => void;
}

export interface Scanned {
  /** Without digest. To read a file's content, open `${root}${entry.path}`. */
  readonly entry: Entry;
  readonly stat: FileStat;
}

/**
 * All entries below `root` (absolute, a directory and no symlink) in canonical order, with one directory's children in
 * memory at a time. Names of one inode become hard links, the first being the file. Sockets are kept.
 *
 * A directory that is a mount point is kept, empty and with the metadata that is visible there, which is that of the
 * mounted root, as with `tar --one-file-system`; a file that is a mount point is left out, since neither its content
 * nor its metadata belong to the tree. A btrfs subvolume that is not mounted is an ordinary directory.
 *
 * It is synchronous: let the event loop turn now and then, else `signal` cannot fire.
 * @throws E_NOT_ALLOWED for what may not be read, E_SOURCE_CHANGED, E_CANCELLED, E_IO
 */
export function* scanDirectory(root: ByteString, options: ScanOptions = {}): Generator<Scanned> {
  // `/` itself: its children are `/etc`, not `//etc`.
  const walk: Walk = { root: root === '/' ? '' : root, options, links: new Map() };
  const stat = guard(walk, '/', () => lstatFull(root));
  const entry = guard(walk, '/', () => describeInode('/', stat, root));
  yield { entry, stat };
  const stack = [{ steps: listDirectory(walk, '', stat), at: 0 }];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const step = frame.steps[frame.at++];
    if (step === undefined) stack.pop();
    else if (!step.enter) yield groupLinks(walk, step.found);
    else stack.push({ steps: listDirectory(walk, step.found.entry.path, step.found.stat), at: 0 });
  }
}

/**
 * The entry of one inode, read from the file system at `location`; `path` is its name within the tree.
 * @throws errors of the system calls
 */
export function describeInode(path: ByteString, stat: FileStat, location: ByteString): Entry {
  const type = typeFromMode(stat.mode);
  if (type === undefined) throw new Error(`a file of unknown type: mode ${stat.mode}`);
  const target = type === 'symlink' ? readlinkSync(toBytes(location), { encoding: 'latin1' }) : undefined;
  return {
    path,
    type,
    mode: stat.perm,
    uid: stat.uid,
    gid: stat.gid,
    mtime: stat.mtime,
    mtimeNsec: stat.mtimeNsec,
    xattrs: listXattrs(location),
    size: type === 'file' ? stat.size : (target?.length ?? 0),
    rdev: type === 'char' || type === 'block' ? stat.rdev : 0,
    ...(target === undefined ? {} : { target }),
  };
}

/** Identity of an inode while it is not deleted. */
export function inodeKey(stat: FileStat): string {
  return `${stat.dev}:${stat.ino}`;
}

/** Error for a path that is no longer what it was when the walk began. */
export function sourceChanged(path: ByteString, cause?: unknown): CellarError {
  return new CellarError('E_SOURCE_CHANGED', { details: { path: toText(path) }, cause });
}

/** `work` on the path a message calls `path`, with errors of system calls in terms of a source that is read. */
export function readingSource<T>(path: ByteString, work: () => T): T {
  try {
    return work();
  } catch (error) {
    // ENXIO: a socket, or a device without its driver, lies there now.
    if (isErrno(error, 'ENOENT', 'ELOOP', 'ENOTDIR', 'ESTALE', 'ENXIO')) {
      // Directories are read through /proc/self/fd.
      requireProc(error);
      throw sourceChanged(path, error);
    }
    if (isErrno(error, 'EACCES', 'EPERM')) {
      throw new CellarError('E_NOT_ALLOWED', {
        details: { operation: `reading ${toText(path)}`, problem: 'permission denied' },
        hint: 'run as a user who may read it, or leave it out with --exclude',
        cause: error,
      });
    }
    throw toCellarError(error, { doing: 'reading', path: toText(path) });
  }
}

interface Walk {
  readonly root: ByteString;
  readonly options: ScanOptions;
  /** First name seen of every inode that has several. */
  readonly links: Map<string, Scanned>;
}

/** Report an entry, or go down into its directory. */
interface Step {
  readonly key: ByteString;
  readonly found: Scanned;
  readonly enter: boolean;
}

/**
 * The children of `directory` (`''` for the root). Sorting `name` for the entry and `name/` for what is below it gives
 * the order of full paths: `a`, `a-b`, then `a/c`.
 */
function listDirectory(walk: Walk, directory: ByteString, expected: FileStat): Step[] {
  const { options, root } = walk;
  if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
  return guard(walk, directory, () => {
    const fd = openDirectory(root + directory || '/');
    try {
      const before = fstatFull(fd);
      if (inodeKey(before) !== inodeKey(expected)) throw sourceChanged(display(walk, directory));
      const base = `/proc/self/fd/${fd}`;
      const steps: Step[] = [];
      for (const name of readdirSync(base, { encoding: 'latin1' })) {
        const path = `${directory}/${name}`;
        if (options.exclude?.(path) === true) continue;
        pushChild(walk, steps, { path, name, location: `${base}/${name}` });
      }
      if (!isSameContent(before, fstatFull(fd))) throw sourceChanged(display(walk, directory));
      return steps.sort((a, b) => (a.key < b.key ? -1 : 1));
    } finally {
      closeSync(fd);
    }
  });
}

function pushChild(
  walk: Walk,
  steps: Step[],
  { path, name, location }: { path: ByteString; name: ByteString; location: ByteString },
): void {
  const found = guard(walk, path, () => {
    const stat = lstatFull(location);
    return { entry: describeInode(path, stat, location), stat };
  });
  const isDirectory = found.entry.type === 'directory';
  if (found.stat.mountRoot) walk.options.onMountPoint?.(path);
  if (found.stat.mountRoot && !isDirectory) return;
  steps.push({ key: name, found, enter: false });
  if (isDirectory && !found.stat.mountRoot) steps.push({ key: `${name}/`, found, enter: true });
}

/** Later names of an inode repeat what the first one showed, so a group is consistent or an error. */
function groupLinks(walk: Walk, found: Scanned): Scanned {
  if (found.entry.type === 'directory') return found;
  if (found.stat.nlink < 2 && walk.options.ignoreLinkCounts !== true) return found;
  const key = inodeKey(found.stat);
  const first = walk.links.get(key);
  if (first === undefined) {
    walk.links.set(key, found);
    return found;
  }
  // Not ctime: a link made elsewhere, from a checkout into the store, changes that and nothing else.
  if (!isSameContent(first.stat, found.stat)) throw sourceChanged(display(walk, found.entry.path));
  return {
    entry: { ...first.entry, path: found.entry.path, hardlink: first.entry.path },
    stat: found.stat,
  };
}

function isSameContent(a: FileStat, b: FileStat): boolean {
  return a.mtime === b.mtime && a.mtimeNsec === b.mtimeNsec && a.size === b.size;
}

function openDirectory(path: ByteString): number {
  return openSync(toBytes(path), constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
}

function guard<T>(walk: Walk, path: ByteString, work: () => T): T {
  return readingSource(display(walk, path), work);
}

function display(walk: Walk, path: ByteString): ByteString {
  return `${walk.options.displayRoot ?? walk.root}${path}` || '/';
}
