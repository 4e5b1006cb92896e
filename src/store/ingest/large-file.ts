/** A large or sparse file arriving in pieces: written to a temporary name while it is hashed, holes kept. */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { startWriteback } from '../../sys/syncfs.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import type { Segment } from './protocol.ts';
import { writeFully, type Stager } from './stager.ts';

export interface LargeFile extends Disposable {
  /** The next stored bytes, in order. */
  write(content: Uint8Array): void;
  finish(meta: InodeMeta): { digest: Digest; isNew: boolean };
}

/** `sparse`: the data segments in order; dense when absent. */
export function beginLargeFile(
  stager: Stager,
  file: { size: number; sparse?: readonly Segment[] | undefined },
): LargeFile {
  const temporary = `${stager.setup.staging}/large-${randomBytes(8).toString('hex')}`;
  const fd = openSync(temporary, 'wx', 0o600);
  const hasher = sha256Stream();
  const segments = file.sparse ?? [{ offset: 0, length: file.size }];
  let segment = 0;
  let within = 0;
  let position = 0;
  return {
    write(content) {
      let taken = 0;
      while (taken < content.length) {
        const { offset, length } = segments[segment]!;
        if (within === length) {
          segment++;
          within = 0;
          continue;
        }
        if (position < offset + within) {
          hashZeros(hasher, offset - position);
          position = offset;
        }
        const part = content.subarray(taken, taken + Math.min(length - within, content.length - taken));
        hasher.update(part);
        writeFully(fd, part, position);
        taken += part.length;
        within += part.length;
        position += part.length;
      }
    },
    finish(meta) {
      hashZeros(hasher, file.size - position);
      ftruncateSync(fd, file.size);
      const digest = hasher.digest('hex');
      const isNew = stager.adopt(temporary, fd, digest, file.size, meta);
      if (isNew) startWriteback(fd);
      stager.expectPresent = !isNew;
      return { digest, isNew };
    },
    [Symbol.dispose]() {
      closeSync(fd);
    },
  };
}

const zeros = Buffer.alloc(1 << 20);

/** Holes are part of the content. */
export function hashZeros(hasher: ReturnType<typeof sha256Stream>, count: number): void {
  for (let left = count; left > 0; left -= zeros.length) {
    hasher.update(left >= zeros.length ? zeros : zeros.subarray(0, left));
  }
}
