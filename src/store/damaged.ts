/**
 * Objects known to be damaged: found so by fsck or by a read. They are refused until a good copy arrives, which
 * any import or repair that brings the same content does.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { RowChange } from './rows.ts';
import type { Store } from './store.ts';

export interface DamagedRow {
  /** What its content hashes to now; absent when it is missing or unreadable. */
  readonly found?: Digest;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export function damagedObjects(store: Store): Map<Digest, DamagedRow> {
  return new Map(store.rows.list<DamagedRow>('damaged').map(({ key, value }) => [key, value]));
}

export function isDamaged(store: Store, object: Digest): boolean {
  return store.rows.get('damaged', object) !== undefined;
}

export function markDamaged(store: Store, objects: readonly { object: Digest; found?: Digest }[]): void {
  if (store.readOnly || objects.length === 0) return;
  const at = Date.now();
  store.rows.write(
    objects.map(({ object, found }) => ({
      kind: 'damaged',
      key: object,
      value: { ...(found === undefined ? {} : { found }), at },
    })),
  );
}

/** Objects that were found whole again (a restored backup, a disk that came back), or that are gone and nobody's. */
export function forgetMended(store: Store, isOver: (object: Digest) => boolean): void {
  if (store.readOnly) return;
  const mended = [...damagedObjects(store).keys()].filter(isOver);
  if (mended.length > 0) store.rows.write(planMended(store, new Set(mended)));
}

/** The rows to write once good copies of `objects` are in place. */
export function planMended(store: Store, objects: ReadonlySet<Digest>): RowChange[] {
  return [...damagedObjects(store).keys()]
    .filter((object) => objects.has(object))
    .map((key) => ({ kind: 'damaged', key, value: undefined }));
}

/** @throws E_OBJECT_DAMAGED when one of `objects` is known to be damaged */
export function refuseDamaged(store: Store, objects: () => readonly Digest[]): void {
  const damaged = damagedObjects(store);
  if (damaged.size === 0) return;
  const hit = objects().find((object) => damaged.has(object));
  if (hit !== undefined)
    throw new CellarError('E_OBJECT_DAMAGED', {
      details: { object: hit, found: damaged.get(hit)?.found ?? 'unreadable' },
    });
}
