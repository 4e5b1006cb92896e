/** An entry on its way into the store: what is known of a file in a directory before its content has been read. */
import type { ByteString } from '../core/bytes.ts';
import type { FileStat } from '../sys/stat.ts';
import type { Entry } from './entry.ts';

export interface Candidate {
  /** In canonical order, hard links grouped. A regular file has its digest already, or `read`, or no content. */
  readonly entry: Entry;
  /** Where its content is to be read, and what the file there looked like. */
  readonly read?: { readonly location: ByteString; readonly stat: FileStat } | undefined;
  /** The entry of an earlier tree that this is a later state of; not given for what is new. */
  readonly origin?: Entry | undefined;
  /** `entry` was taken over from the earlier tree, not read from the file system. */
  readonly isTakenOver?: boolean;
}
