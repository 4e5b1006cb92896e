/**
 * A large or sparse file arriving in pieces. Where its bytes can be read again and the last large files were in the
 * store already, it is only hashed, and read a second time should it be new after all; else it is written to a
 * temporary name while it is hashed. Holes are kept.
 */
import { closeSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import type { Reread, Segment } from './protocol.ts';
import { writeFully, type Stager } from './stager.ts';

export interface LargeFile {
  /** The next stored bytes, in order. */
  write(content: Uint8Array): void;
  finish(meta: InodeMeta): { digest: Digest; isNew: boolean };
}

export interface LargeFileOptions {
  readonly size: number;
  /** Data segments in order; dense when absent. */
  readonly sparse?: readonly Segment[] | undefined;
  readonly again?: Reread | undefined;
}

export function beginLargeFile(stager: Stager, file: LargeFileOptions): LargeFile {
  return file.again !== undefined && file.sparse === undefined && stager.expectPresent
    ? hashFirst(stager, file.size, file.again)
    : writeThrough(stager, file);
}

/** @throws E_SOURCE_CHANGED when the second reading gives other bytes than the first */
function hashFirst(stager: Stager, size: number, again: Reread): LargeFile {
  const hasher = sha256Stream();
  return {
    write(content) {
      hasher.update(content);
    },
    finish(meta) {
      const digest = hasher.digest('hex');
      stager.expectPresent = stager.has(digest, size);
      if (stager.expectPresent) return { digest, isNew: false };
      const copy = writeThrough(stager, { size });
      for (let done = 0; done < size;) {
        const count = readSync(
          again.fd,
          buffer,
          0,
          Math.min(buffer.length, size - done),
          again.offset + done,
        );
        if (count === 0) break;
        copy.write(buffer.subarray(0, count));
        done += count;
      }
      const written = copy.finish(meta);
      if (written.digest !== digest)
        throw new CellarError('E_SOURCE_CHANGED', { details: { path: 'the archive' } });
      return written;
    },
  };
}

const buffer = Buffer.allocUnsafeSlow(1 << 20);

function writeThrough(stager: Stager, file: LargeFileOptions): LargeFile {
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
      try {
        hashZeros(hasher, file.size - position);
        ftruncateSync(fd, file.size);
        const digest = hasher.digest('hex');
        const isNew = stager.adopt(temporary, fd, digest, file.size, meta);
        stager.expectPresent = !isNew;
        return { digest, isNew };
      } finally {
        closeSync(fd);
      }
    },
  };
}

const zeros = Buffer.alloc(1 << 20);

function hashZeros(hasher: ReturnType<typeof sha256Stream>, count: number): void {
  for (let left = count; left > 0; left -= zeros.length)
    hasher.update(left >= zeros.length ? zeros : zeros.subarray(0, left));
}
