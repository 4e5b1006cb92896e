/** Which rows go: images that no root keeps, and what is only about such. */
import type { Digest } from '../../core/digest.ts';
import type { ImageRecord } from '../../core/record.ts';
import { treeOf } from '../blobs.ts';
import { referenceKey, type HistoryRow } from '../references.ts';
import type { Roots } from '../roots.ts';
import type { RowChange } from '../rows.ts';
import type { Store } from '../store.ts';

export interface PlannedRows {
  /** The rows to take away. */
  readonly changes: readonly RowChange[];
  /** How many images are among them. */
  readonly images: number;
  /** Images that no root keeps, and that are younger than the grace period. */
  readonly young: readonly ImageRecord[];
}

/** `before` in milliseconds since the epoch. */
export function planRows(store: Store, roots: Roots, before: number): PlannedRows {
  const changes: RowChange[] = [];
  const young: ImageRecord[] = [];
  const contents = new Set<Digest>();
  const gone = new Set<Digest>();
  const recent = namedSince(store, before);
  for (const { key, value } of store.rows.list<ImageRecord>('image')) {
    const tree = treeOf(store, value);
    if (roots.images.has(key)) contents.add(value.content);
    else if (value.created * 1000 < before && !recent.has(key)) {
      gone.add(key);
      changes.push({ kind: 'image', key, value: undefined });
    } else {
      young.push(value);
      contents.add(value.content);
      if (tree !== undefined) contents.add(tree);
    }
  }
  const kept = new Set([...roots.trees, ...contents]);
  for (const kind of ['tree', 'blobs', 'unpacked'] as const) {
    for (const { key } of store.rows.list(kind))
      if (!kept.has(key)) changes.push({ kind, key, value: undefined });
  }
  const keptReferences = new Set(store.rows.list('reference').map(({ key }) => key));
  for (const { key, value } of store.rows.list<HistoryRow>('history')) {
    const isOver =
      value.image === undefined &&
      value.at < before &&
      !keptReferences.has(referenceKey(value.reference, value.platform));
    if (isOver || (value.image !== undefined && gone.has(value.image)))
      changes.push({ kind: 'history', key, value: undefined });
  }
  for (const { key, value } of store.rows.list<{ tree: Digest }>('source')) {
    if (!kept.has(value.tree)) changes.push({ kind: 'source', key, value: undefined });
  }
  for (const key of gone) changes.push({ kind: 'used', key, value: undefined });
  return { changes, images: gone.size, young };
}

/** Images that a reference came to, or left, since then: one whose reference was removed a moment ago has its grace. */
function namedSince(store: Store, since: number): Set<Digest> {
  const named = new Set<Digest>();
  // In the order of references, and of each one in that of time.
  let last: HistoryRow | undefined;
  for (const { value } of store.rows.list<HistoryRow>('history')) {
    const isSame = last?.reference === value.reference && last.platform === value.platform;
    if (value.at >= since)
      for (const row of isSame ? [last, value] : [value]) if (row?.image !== undefined) named.add(row.image);
    last = value;
  }
  return named;
}
