/**
 * The order of an archive's members. Not that of the manifest: in raw-byte order `perl-base` comes between `perl` and
 * `perl/5.36`, and tar(1), which restores a directory's mtime once a member outside of it comes, would set that of
 * `perl` too early. So each directory is followed by all that is below it: `/` sorts before every other byte.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Entry } from './entry.ts';

/** Depth first, and the first of hard-linked names in this order is the file. Takes entries in canonical order. */
export function archiveOrder(entries: readonly Entry[]): readonly Entry[] {
  const ordered: Entry[] = [];
  const isMoved = order(entries, { from: 0, to: entries.length }, ordered);
  return isMoved ? relink(ordered) : entries;
}

/**
 * The two orders differ only between a directory and what is below it, where the manifest has the names that begin with
 * the directory's and go on with a byte before `/`. @returns whether anything changed places
 */
function order(
  entries: readonly Entry[],
  { from, to }: { from: number; to: number },
  into: Entry[],
): boolean {
  let isMoved = false;
  for (let at = from; at < to;) {
    const entry = entries[at]!;
    into.push(entry);
    at++;
    if (entry.type !== 'directory' || entry.path === '/') continue;
    const { path } = entry;
    let below = at;
    while (below < to && comesBetween(path, entries[below]!.path)) below++;
    if (below === at) continue;
    let end = below;
    while (end < to && entries[end]!.path.startsWith(`${path}/`)) end++;
    if (end === below) continue;
    order(entries, { from: below, to: end }, into);
    order(entries, { from: at, to: below }, into);
    isMoved = true;
    at = end;
  }
  return isMoved;
}

function comesBetween(directory: ByteString, path: ByteString): boolean {
  return path.charCodeAt(directory.length) < slash && path.startsWith(directory);
}

const slash = 0x2f;

function relink(entries: readonly Entry[]): readonly Entry[] {
  const linked = new Set(entries.flatMap(({ hardlink }) => (hardlink === undefined ? [] : [hardlink])));
  if (linked.size === 0) return entries;
  const firstNames = new Map<ByteString, ByteString>();
  return entries.map((entry) => {
    const inode = entry.hardlink ?? entry.path;
    if (!linked.has(inode)) return entry;
    const { hardlink, ...file } = entry;
    const first = firstNames.get(inode);
    if (first !== undefined) return { ...file, hardlink: first };
    firstNames.set(inode, entry.path);
    return file;
  });
}
