/** Objects at rest: content by digest, hashed whenever it leaves the store by a path that reads it. */
import { constants, openSync, readFileSync, statSync } from 'node:fs';
import { digestPath, sha256, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { descriptor, type Descriptor } from '../sys/descriptor.ts';
import { reasonOf } from '../sys/errno.ts';
import { faultAtRest } from './at-rest.ts';
import { objectFile } from './layout.ts';
import type { Store } from './store.ts';

/** Whole content, verified. For objects of moderate size. @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED */
export function readObject(store: Store, digest: Digest): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(objectFile(store.root, digest));
  } catch (cause) {
    throw objectFault(digest, cause);
  }
  const found = sha256(content);
  if (found !== digest) throw new CellarError('E_OBJECT_DAMAGED', { details: { object: digest, found } });
  return content;
}

/**
 * To read from; whoever reads it hashes it. `objects` is the directory of that name in a store.
 * @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED when it cannot be opened
 */
export function openObject(objects: string, digest: Digest): Descriptor {
  try {
    return descriptor(
      openSync(`${objects}/${digestPath(digest)}`, constants.O_RDONLY | constants.O_NOFOLLOW),
    );
  } catch (cause) {
    throw objectFault(digest, cause);
  }
}

/** Size in bytes, or `undefined` when it is not there. */
export function objectSize(root: string, digest: Digest): number | undefined {
  return statSync(objectFile(root, digest), { throwIfNoEntry: false })?.size;
}

/** What it means that an object could not be opened or read: an error to throw. */
export function objectFault(digest: Digest, cause: unknown): unknown {
  const fault = faultAtRest(cause);
  if (fault === undefined) return cause;
  if (fault === 'missing') return new CellarError('E_OBJECT_MISSING', { details: { object: digest }, cause });
  const found = `unreadable: ${reasonOf(cause)}`;
  return new CellarError('E_OBJECT_DAMAGED', { details: { object: digest, found }, cause });
}
