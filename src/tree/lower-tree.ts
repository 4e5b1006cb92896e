/** Looking things up in a whole tree without an index of it: entries are in canonical order, so halving finds them. */
import type { ByteString } from '../core/bytes.ts';
import type { Entry } from './entry.ts';
import { findEntry, lowerBound } from './lookup.ts';

export interface LowerTree {
  find(path: ByteString): Entry | undefined;
  /** Everything below a directory (`''` for the root), in order. */
  below(directory: ByteString): Iterable<Entry>;
  /** Path of the first name of the inode that `entry` is one of several names of. */
  group(entry: Entry): ByteString | undefined;
}

/** `entries` in canonical order. */
export function createLowerTree(entries: readonly Entry[]): LowerTree {
  const firsts = new Set<ByteString>();
  for (const { hardlink } of entries) if (hardlink !== undefined) firsts.add(hardlink);

  return {
    find: (path) => findEntry(entries, path),
    *below(directory) {
      const prefix = `${directory}/`;
      for (let at = lowerBound(entries, prefix); at < entries.length; at++) {
        const entry = entries[at]!;
        if (!entry.path.startsWith(prefix)) return;
        // The root is `/`, which begins with the prefix of its own children.
        if (entry.path !== prefix) yield entry;
      }
    },
    group({ path, hardlink }) {
      return hardlink ?? (firsts.has(path) ? path : undefined);
    },
  };
}
