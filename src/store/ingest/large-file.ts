/**
 * Large and sparse files on their way into the store. What has a digest already is written under its name; what is
 * hashed while it is written, under a temporary one. Holes are kept.
 */
import { closeSync, ftruncateSync, openSync, unlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { isErrno } from '../../sys/errno.ts';
import { startWriteback } from '../../sys/syncfs.ts';
import { writeFully } from '../../sys/write-fully.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { blockFile, copyOf, stepBytes, type BlockFile, type Fill } from './blocks.ts';
import type { Segment } from '../../sys/sparse.ts';
import { applyMeta, type Stager, type Stored } from './stager.ts';

export interface LargeFile {
  /** The next `length` stored bytes, in order; when it resolves they are copied. @throws what `fill` or a write did */
  write(length: number, fill: Fill): Promise<void>;
  /** The last call, as `abandon` is. */
  finish(meta: InodeMeta): Stored;
  abandon(): Promise<void>;
}

/** `content` may change once this resolves. */
export async function stageLarge(
  stager: Stager,
  digest: Digest,
  content: Buffer,
  meta: InodeMeta,
): Promise<Stored> {
  const claimed = stager.claim(digest, content.length);
  if (claimed === undefined) return { digest, isNew: false };
  const blocks = blockFile(claimed.fd, claimed.path);
  try {
    await blocks.write(content.length, copyOf(content));
  } catch (error) {
    await close(claimed.fd, blocks);
    throw error;
  }
  const isNew = whenWritten(claimed.fd, blocks, async (written) => {
    await written;
    applyMeta(claimed.fd, meta, stager.setup.privileged, { owner: stager.owner });
    return true;
  });
  return { digest, isNew };
}

/**
 * A disk that is full does not end it: the rest is hashed, and only content that the store lacks is an error.
 * @param sparse the data segments in order; dense when absent
 */
export function beginLargeFile(
  stager: Stager,
  { size, sparse }: { size: number; sparse?: readonly Segment[] | undefined },
): LargeFile {
  const temporary = `${stager.setup.staging}/large-${randomBytes(8).toString('hex')}`;
  const fd = openSync(temporary, 'wx', 0o600);
  const hasher = sha256Stream();
  const segments = sparse ?? [{ offset: 0, length: size }];
  const isDense = segments.length === 1 && segments[0]!.length === size;
  const blocks = isDense ? blockFile(fd, temporary) : undefined;
  let segment = 0;
  let within = 0;
  let position = 0;
  let full: { error: unknown } | undefined;
  const noRoom = (error: unknown): void => {
    if (!isErrno(error, 'ENOSPC', 'EDQUOT')) throw error;
    full = { error };
    ftruncateSync(fd, 0);
  };
  return {
    async write(length, fill) {
      for (let taken = 0; taken < length;) {
        const { offset, length: whole } = segments[segment]!;
        if (within === whole) {
          segment++;
          within = 0;
          continue;
        }
        hashZeros(hasher, offset + within - position);
        position = offset + within;
        const [from, count] = [taken, Math.min(whole - within, length - taken)];
        let hashed = 0;
        const part: Fill = (target, done) => {
          fill(target, from + done);
          hasher.update(target);
          hashed = done + target.length;
        };
        try {
          if (full !== undefined) throw full.error;
          if (blocks === undefined)
            inSteps(0, count, part, (bytes, done) => writeFully(fd, bytes, position + done));
          else await blocks.write(count, part);
        } catch (error) {
          noRoom(error);
          inSteps(hashed, count, part);
        }
        taken += count;
        within += count;
        position += count;
      }
    },
    finish(meta) {
      hashZeros(hasher, size - position);
      const digest = hasher.digest('hex');
      stager.expectPresent = stager.has(digest, size);
      const isNew = whenWritten(fd, blocks, async (written) => {
        await written.catch(noRoom);
        if (full !== undefined) {
          unlinkSync(temporary);
          if (stager.has(digest, size)) return false;
          throw full.error;
        }
        if (!isDense) ftruncateSync(fd, size);
        const adopted = stager.adopt(temporary, fd, digest, size, meta);
        if (adopted) startWriteback(fd);
        return adopted;
      });
      return { digest, isNew };
    },
    abandon: () => close(fd, blocks),
  };
}

async function whenWritten(
  fd: number,
  blocks: BlockFile | undefined,
  conclude: (written: Promise<void>) => Promise<boolean>,
): Promise<boolean> {
  try {
    return await conclude(blocks?.end() ?? Promise.resolve());
  } finally {
    await close(fd, blocks);
  }
}

async function close(fd: number, blocks: BlockFile | undefined): Promise<void> {
  await blocks?.[Symbol.asyncDispose]();
  closeSync(fd);
}

const step = Buffer.allocUnsafeSlow(stepBytes);

/** For what is written between holes, where blocks would not begin at pages, and for what is only hashed. */
function inSteps(
  from: number,
  length: number,
  fill: Fill,
  then: (bytes: Buffer, done: number) => void = () => {},
): void {
  for (let done = from; done < length;) {
    const target = step.subarray(0, Math.min(stepBytes, length - done));
    fill(target, done);
    then(target, done);
    done += target.length;
  }
}

const zeros = Buffer.alloc(1 << 20);

/** Holes are part of the content. */
export function hashZeros(hasher: ReturnType<typeof sha256Stream>, count: number): void {
  for (let left = count; left > 0; left -= zeros.length) {
    hasher.update(left >= zeros.length ? zeros : zeros.subarray(0, left));
  }
}
