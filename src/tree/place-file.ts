/** One file more in a tree, in the place of a file or where nothing is. */
import { toText } from '../core/bytes.ts';
import { impliedDirectory, parentPath, type Entry } from './entry.ts';
import { findEntry } from './lookup.ts';

/**
 * Canonical again; directories that it needs are made. A symlink above it is not followed, and of several names of one
 * inode none is replaced. @throws what `refuse` makes of the problem, which is text
 */
export function placeFile(
  entries: readonly Entry[],
  file: Entry,
  refuse: (problem: string) => Error,
): readonly Entry[] {
  const made: Entry[] = [file];
  for (let above = parentPath(file.path); above !== '/'; above = parentPath(above)) {
    const there = findEntry(entries, above);
    if (there === undefined) made.push(impliedDirectory(above));
    else if (there.type !== 'directory') throw refuse(`${toText(above)} is no directory`);
  }
  const there = findEntry(entries, file.path);
  const isLinked = there?.hardlink !== undefined || entries.some(({ hardlink }) => hardlink === file.path);
  if (there !== undefined && (isLinked || (there.type !== 'file' && there.type !== 'symlink')))
    throw refuse('something else than a file with one name lies there');
  return [...entries.filter((entry) => entry !== there), ...made].sort((a, b) => (a.path < b.path ? -1 : 1));
}
