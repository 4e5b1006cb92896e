/**
 * Digests: the one name space of the store. A digest is the SHA-256 of raw content as 64 lower-case hex
 * digits, so any host can check an object with `sha256sum`.
 */
import { createHash, hash, type Hash } from 'node:crypto';

/** 64 lower-case hex digits. */
export type Digest = string;

/** Digest of zero bytes; zero-size files have no object. */
export const EMPTY_DIGEST: Digest = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

export function sha256(data: Uint8Array | string): Digest {
  return hash('sha256', data, 'hex');
}

export function sha256Stream(): Hash {
  return createHash('sha256');
}

export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** As people write it: `sha256:` may stand before it, and digits may be capitals. `undefined` for anything else. */
export function parseDigest(text: string): Digest | undefined {
  const bare = text.replace(/^sha256:/, '').toLowerCase();
  return isDigest(bare) ? bare : undefined;
}

/** Path of an object inside `objects/`: `ab/cdef…`. It is also the payload in a manifest. */
export function digestPath(digest: Digest): string {
  return `${digest.slice(0, 2)}/${digest.slice(2)}`;
}
