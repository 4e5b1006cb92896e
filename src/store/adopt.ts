/**
 * Whole files on their way into the store: downloads that were hashed while they arrived, and small bytes. They are
 * moved, not copied, so `file` lies on the store's own file system.
 */
import { chmodSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { digestPath, sha256, sha256Stream, type Digest } from '../core/digest.ts';
import { damagedObjects } from './damaged.ts';
import { objectFile } from './layout.ts';
import type { Store } from './store.ts';

export interface Adopter {
  /** `digest` is what the caller found the whole file to hash to. The file is gone afterwards. */
  file(file: string, digest: Digest): void;
  bytes(content: Uint8Array): Digest;
  /** Written and hashed as it comes. */
  stream(chunks: AsyncIterable<Uint8Array>): Promise<Digest>;
  readonly newObjects: number;
  readonly newBytes: number;
}

export function createAdopter(store: Store, staging: string): Adopter {
  const damaged = damagedObjects(store);
  const seen = new Set<Digest>();
  let [newObjects, newBytes, next] = [0, 0, 0];
  const isPresent = (digest: Digest, size: number): boolean =>
    seen.has(digest) ||
    (!damaged.has(digest) &&
      statSync(objectFile(store.root, digest), { throwIfNoEntry: false })?.size === size);
  const take = (file: string, digest: Digest): void => {
    const { size } = statSync(file);
    if (isPresent(digest, size)) {
      unlinkSync(file);
      return;
    }
    chmodSync(file, 0o644);
    renameSync(file, `${staging}/objects/${digestPath(digest)}`);
    seen.add(digest);
    newObjects++;
    newBytes += size;
  };
  return {
    file: take,
    bytes(content) {
      const digest = sha256(content);
      const file = `${staging}/${digest}`;
      writeFileSync(file, content, { mode: 0o600 });
      take(file, digest);
      return digest;
    },
    async stream(chunks) {
      const temporary = `${staging}/stream-${next++}`;
      const hasher = sha256Stream();
      {
        await using file = await open(temporary, 'wx', 0o600);
        for await (const chunk of chunks) {
          hasher.update(chunk);
          await file.writeFile(chunk);
        }
      }
      const digest = hasher.digest('hex');
      take(temporary, digest);
      return digest;
    },
    get newObjects() {
      return newObjects;
    },
    get newBytes() {
      return newBytes;
    },
  };
}
