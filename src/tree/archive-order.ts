/**
 * The order of an archive's members. Not that of the manifest: in raw-byte order `perl-base` comes between `perl` and
 * `perl/5.36`, and tar(1), which restores a directory's mtime once a member outside of it comes, would set that of
 * `perl` too early. So each directory is followed by all that is below it: `/` sorts before every other byte.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Entry } from './entry.ts';

/**
 * Depth first, and the first of hard-linked names in this order is the file. Takes entries in canonical order, one after
 * another, and keeps only those that have to wait.
 */
export function* archiveOrder(entries: Iterable<Entry>): Generator<Entry> {
  yield* order(entries, relink());
}

/** Entries that wait until all that is below this directory has gone by. */
interface Waiting {
  readonly directory: ByteString;
  readonly entries: Entry[];
}

/**
 * The two orders differ only between a directory and what is below it, where the manifest has the names that begin with
 * the directory's and go on with a byte before `/`. Those follow the directory at once, so only then one has to look.
 */
function* order(entries: Iterable<Entry>, links: Links): Generator<Entry> {
  const waiting: Waiting[] = [];
  let directory: ByteString | undefined;
  for (const entry of entries) {
    const { path } = entry;
    for (let last = waiting.at(-1); last !== undefined; last = waiting.at(-1)) {
      if (path.startsWith(last.directory) && path.charCodeAt(last.directory.length) <= slash) break;
      waiting.pop();
      yield* order(released(last.entries, links), links);
    }
    if (directory !== undefined && comesBetween(directory, path)) waiting.push({ directory, entries: [] });
    const last = waiting.at(-1);
    if (last !== undefined && comesBetween(last.directory, path)) {
      links.hold(entry);
      last.entries.push(entry);
      directory = undefined;
      continue;
    }
    yield links.named(entry);
    directory = entry.type === 'directory' && path !== '/' ? path : undefined;
  }
  for (let last = waiting.pop(); last !== undefined; last = waiting.pop())
    yield* order(released(last.entries, links), links);
}

function* released(entries: readonly Entry[], links: Links): Generator<Entry> {
  for (const entry of entries) {
    links.release(entry);
    yield entry;
  }
}

function comesBetween(directory: ByteString, path: ByteString): boolean {
  return path.charCodeAt(directory.length) < slash && path.startsWith(directory);
}

const slash = 0x2f;

interface Links {
  hold(entry: Entry): void;
  release(entry: Entry): void;
  /** As it goes out now. */
  named(entry: Entry): Entry;
}

/** A name of a file whose first name still waits becomes the first itself. */
function relink(): Links {
  const held = new Set<ByteString>();
  const firstNames = new Map<ByteString, ByteString>();
  return {
    hold: ({ path }) => void held.add(path),
    release: ({ path }) => void held.delete(path),
    named(entry) {
      // In nearly all trees no name moves, and then no path has to be looked up.
      if (entry.hardlink === undefined && firstNames.size === 0) return entry;
      const inode = entry.hardlink ?? entry.path;
      const first = firstNames.get(inode);
      if (first !== undefined) return { ...entry, hardlink: first };
      if (entry.hardlink === undefined || !held.has(inode)) return entry;
      firstNames.set(inode, entry.path);
      const { hardlink, ...file } = entry;
      return file;
    },
  };
}
