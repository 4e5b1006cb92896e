/**
 * When an image was last used: checked out, exported, read or pulled. What the bound takes first is what this says is
 * oldest. Written at most once an hour for each image, so that reading costs no write.
 */
import type { Digest } from '../core/digest.ts';
import type { ImageRecord } from '../core/record.ts';
import { toCellarError } from '../sys/errno.ts';
import type { Store } from './store.ts';

const precision = 3_600_000;

/** Milliseconds since the epoch; when it was stored, for an image never used. */
export function lastUsed(store: Store, image: Digest): number {
  const created = (store.rows.get<ImageRecord>('image', image)?.created ?? 0) * 1000;
  return Math.max(created, store.rows.get<{ at: number }>('used', image)?.at ?? 0);
}

export function noteUse(store: Store, image: Digest, now = Date.now()): void {
  if (store.readOnly || now - lastUsed(store, image) < precision) return;
  try {
    store.rows.write([{ kind: 'used', key: image, value: { at: now } }]);
  } catch (error) {
    // On a full or failing disk it is as if the image was not used: reading goes on.
    if (toCellarError(error, { doing: 'noting use', path: store.root }).code === 'E_INTERNAL') throw error;
  }
}
