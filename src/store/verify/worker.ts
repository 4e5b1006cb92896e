/** A verifying worker: hashes files of the store by path, many to a message, reading in large steps. */
import { closeSync, openSync, readSync } from 'node:fs';
import { hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { sha256Stream } from '../../core/digest.ts';
import { reasonOf } from '../../sys/errno.ts';
import { faultAtRest } from '../at-rest.ts';

/**
 * Answers: the digest and the number of bytes; `!` and an errno name for a fault of the file, `?` and what happened for
 * another.
 */
parentPort!.on('message', (files: readonly string[]) => {
  parentPort!.postMessage(files.map(hashFile));
});

const buffer = Buffer.allocUnsafeSlow(1 << 20);

function hashFile(file: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(file, 'r');
    let count = readSync(fd, buffer);
    if (count < buffer.length) {
      // A short read is nearly always the end; one more read makes sure.
      const more = readSync(fd, buffer, count, buffer.length - count, null);
      if (more === 0) return `${hash('sha256', buffer.subarray(0, count), 'hex')}${count}`;
      count += more;
    }
    const hasher = sha256Stream();
    let size = 0;
    for (; count > 0; count = readSync(fd, buffer)) {
      hasher.update(buffer.subarray(0, count));
      size += count;
    }
    return `${hasher.digest('hex')}${size}`;
  } catch (error) {
    if (faultAtRest(error) === undefined) return `?${reasonOf(error)}`;
    return `!${(error as NodeJS.ErrnoException).code ?? 'EIO'}`;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
