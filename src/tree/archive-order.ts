/**
 * The order of an archive's members. Not that of the manifest: in raw-byte order `perl-base` comes between `perl` and
 * `perl/5.36`, and tar(1), which restores a directory's mtime once a member outside of it comes, would set that of
 * `perl` too early. So each directory is followed by all that is below it: `/` sorts before every other byte.
 */
import type { ByteString } from '../core/bytes.ts';
import type { Entry } from './entry.ts';

/** Depth first, and the first of hard-linked names in this order is the file. Takes entries in canonical order. */
export function archiveOrder(entries: readonly Entry[]): readonly Entry[] {
  if (entries.every((entry, index) => index === 0 || key(entries[index - 1]!.path) <= key(entry.path))) {
    return entries;
  }
  const sorted = entries
    .map((entry) => ({ entry, key: key(entry.path) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ entry }) => entry);
  return relink(sorted);
}

function key(path: ByteString): ByteString {
  return path.replaceAll('/', '\0');
}

function relink(entries: readonly Entry[]): readonly Entry[] {
  const linked = new Set(entries.flatMap(({ hardlink }) => (hardlink === undefined ? [] : [hardlink])));
  if (linked.size === 0) return entries;
  const firstNames = new Map<ByteString, ByteString>();
  return entries.map((entry) => {
    const { hardlink, ...file } = entry;
    const inode = hardlink ?? entry.path;
    if (!linked.has(inode)) return entry;
    const first = firstNames.get(inode);
    if (first !== undefined) return { ...file, hardlink: first };
    firstNames.set(inode, entry.path);
    return file;
  });
}
