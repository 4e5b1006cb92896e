/** Pins: references whose images and whole history gc keeps, and that `rm` refuses. They outlive the reference's moves. */
import type { Reference } from '../core/reference.ts';
import type { RowChange } from './rows.ts';
import type { Store } from './store.ts';

export function isPinned(store: Store, reference: Reference): boolean {
  return store.rows.get('pin', reference) !== undefined;
}

/** The rows to write so that `reference` is pinned or not; none when it is so already. Call inside `rows.update`. */
export function planPin(store: Store, reference: Reference, wanted: boolean): RowChange[] {
  if (isPinned(store, reference) === wanted) return [];
  return [{ kind: 'pin', key: reference, value: wanted ? { at: Date.now() } : undefined }];
}
