/** A path within a tree as results have it: text for people, and the bytes where that text does not say them. */
import { fromShown, fromText, toText, type ByteString } from '../core/bytes.ts';
import type { Entry } from '../tree/entry.ts';
import { findEntry, normalPath } from '../tree/lookup.ts';

export interface ShownPath {
  /** For people: `\xNN` stands for bytes that are no UTF-8 and for control characters. */
  readonly path: string;
  /** The very bytes in base64, where `path` does not say them. */
  readonly pathBytes?: string;
}

export function shownPath(path: ByteString): ShownPath {
  const text = toText(path);
  // An escape is told from the same characters in a name by the bytes beside it.
  return fromText(text) === path && !text.includes('\\x')
    ? { path: text }
    : { path: text, pathBytes: Buffer.from(path, 'latin1').toString('base64') };
}

/** The path that somebody wrote: as it stands or, where the tree has none of that name, with `\xNN` as that byte. */
export function writtenPath(entries: () => readonly Entry[], text: string): ByteString {
  const typed = normalPath(fromText(text));
  return !text.includes('\\x') || findEntry(entries(), typed) !== undefined
    ? typed
    : normalPath(fromShown(text));
}
