/** Hash an object at rest and refuse it when it is not what its name says. Used wherever its bytes leave the store. */
import { hash } from 'node:crypto';
import { readSync } from 'node:fs';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { openObject } from '../../store/objects.ts';

const buffer = Buffer.allocUnsafeSlow((1 << 20) + 1);

/**
 * Reads the whole object and hands its content to `take`, in order; small ones in one piece. What was taken counts only
 * when this returns. @throws E_OBJECT_DAMAGED
 */
export function readVerified(
  fd: number,
  digest: Digest,
  take?: (content: Buffer, position: number) => void,
): void {
  const found = readHashed(fd, take);
  if (found !== digest) throw new CellarError('E_OBJECT_DAMAGED', { details: { object: digest, found } });
}

export function verifyObject(objects: string, digest: Digest): void {
  using object = openObject(objects, digest);
  readVerified(object.fd, digest);
}

export function missing(digest: Digest, cause?: unknown): CellarError {
  return new CellarError('E_OBJECT_MISSING', { details: { object: digest }, cause });
}

function readHashed(fd: number, take?: (content: Buffer, position: number) => void): Digest {
  let length = readSync(fd, buffer, 0, buffer.length, 0);
  // Local file systems read short only at the end; were it otherwise, the digest would tell.
  if (length < buffer.length) {
    const content = buffer.subarray(0, length);
    take?.(content, 0);
    return hash('sha256', content, 'hex');
  }
  const hasher = sha256Stream();
  let position = 0;
  for (; length > 0; length = readSync(fd, buffer, 0, buffer.length, position)) {
    const content = buffer.subarray(0, length);
    hasher.update(content);
    take?.(content, position);
    position += length;
  }
  return hasher.digest('hex');
}
