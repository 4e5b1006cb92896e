/** Worker side of tree.ts: objects whose inode changed after a moment are hashed again. */
import { digestPath } from '../../core/digest.ts';
import { fromText } from '../../core/bytes.ts';
import { isErrno } from '../../sys/errno.ts';
import { lstatFull, type FileStat } from '../../sys/stat.ts';
import { missing, verifyObject } from './object.ts';

export interface VerifyInput {
  /** The store's `objects` directory. */
  readonly objects: string;
  /** 32 bytes each. */
  readonly digests: Uint8Array;
  /** Milliseconds since the epoch; objects with a ctime before it are only looked at. */
  readonly since: number;
}

export interface VerifyCounts extends Record<string, number> {
  hashed: number;
}

export function verifyJob(input: VerifyInput): {
  work: (phase: string, from: number, to: number) => void;
  counts: () => VerifyCounts;
} {
  const { buffer, byteOffset, byteLength } = input.digests;
  const digests = Buffer.from(buffer, byteOffset, byteLength);
  const objects = fromText(input.objects);
  let hashed = 0;
  return {
    work(_phase, from, to) {
      for (let index = from; index < to; index++) {
        const digest = digests.toString('hex', index * 32, index * 32 + 32);
        if (ctime(`${objects}/${digestPath(digest)}`, digest) < input.since) continue;
        verifyObject(input.objects, digest);
        hashed++;
      }
    },
    counts() {
      const counts = { hashed };
      hashed = 0;
      return counts;
    },
  };
}

/** In milliseconds, rounded up. */
function ctime(path: string, digest: string): number {
  let stat: FileStat;
  try {
    stat = lstatFull(path);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) throw missing(digest, error);
    throw error;
  }
  return stat.ctime * 1000 + Math.ceil(stat.ctimeNsec / 1e6);
}
