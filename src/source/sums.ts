/** Lists of digests as sha256sum(1) writes them (GNU lines, BSD lines with --tag), signed in the clear or not. */
import type { Digest } from '../core/digest.ts';

export interface Sum {
  /** As it is listed, without `./` before it. */
  readonly name: string;
  readonly sha256: Digest;
}

const gnuLine = /^([0-9a-f]{64}) [ *](?:\.\/)*(.+)$/i;
const bsdLine = /^SHA256 \((?:\.\/)*(.+)\) = ([0-9a-f]{64})$/i;

/** What is no sum (armour, comments, escaped names, sums of other kinds) is passed over. */
export function parseSums(text: string): Sum[] {
  return text.split(/\r?\n/).flatMap((line) => {
    const [, gnuSum, gnuName] = gnuLine.exec(line) ?? [];
    const [, bsdName, bsdSum] = bsdLine.exec(line) ?? [];
    const [name, sha256] = [gnuName ?? bsdName, gnuSum ?? bsdSum];
    return name === undefined || sha256 === undefined ? [] : [{ name, sha256: sha256.toLowerCase() }];
  });
}
