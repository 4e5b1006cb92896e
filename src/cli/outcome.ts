/** What a verb hands back to be shown: the same facts twice, as data and as text for people. */
import type { Style } from './render/style.ts';

export interface Outcome {
  /** The fields of the `"type":"result"` line. An iterable that is no array is written piece by piece. */
  readonly result: Readonly<Record<string, unknown>>;
  /** Lines for standard output; none prints nothing. */
  readonly lines?: (style: Style) => Iterable<string>;
  /** Of the process; 0 unless the result itself is a failure, as damage found by fsck is. */
  readonly exitCode?: number;
}
