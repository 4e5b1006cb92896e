/** A path within a tree as results have it: text for people, and the bytes where that text does not say them. */
import { fromText, toText, type ByteString } from '../core/bytes.ts';

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
