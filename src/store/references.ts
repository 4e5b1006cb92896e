/**
 * References and their history. A reference holds one image per platform; every change of it is kept as a
 * history row, newest first, which also roots the earlier images until `gc --keep-history` trims them.
 */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { Reference } from '../core/reference.ts';
import type { RowChange, Rows } from './rows.ts';
import type { Store } from './store.ts';

export interface ReferenceRow {
  readonly reference: Reference;
  readonly platform: Platform;
  readonly image: Digest;
  /** Integer milliseconds since the epoch of the last change, and how many changes there were. */
  readonly updated: number;
  readonly changes: number;
}

export interface HistoryRow {
  readonly reference: Reference;
  readonly platform: Platform;
  /** `undefined` (absent) when the reference was removed. */
  readonly image?: Digest;
  readonly at: number;
  readonly action: 'import' | 'commit' | 'pull' | 'compose' | 'build' | 'tag' | 'rm';
}

export function listReferences(store: Store): ReferenceRow[] {
  return store.rows.list<ReferenceRow>('reference').map(({ value }) => value);
}

/** Canonical `name:tag` of every reference to each image. */
export function namesByImage(store: Store): Map<Digest, string[]> {
  const names = new Map<Digest, string[]>();
  for (const { reference, image } of listReferences(store))
    names.set(image, [...(names.get(image) ?? []), reference]);
  return names;
}

/** All platforms of one reference. */
export function platformsOf(store: Store, reference: Reference): ReferenceRow[] {
  return store.rows.list<ReferenceRow>('reference', `${reference}\n`).map(({ value }) => value);
}

/** Newest first; index 0 is the present value. Survives the removal of the reference. */
export function referenceHistory(store: Store, reference: Reference, platform?: Platform): HistoryRow[] {
  const prefix = platform === undefined ? `${reference}\n` : `${reference}\n${platform}\n`;
  const rows = store.rows.list<HistoryRow>('history', prefix).map(({ value }) => value);
  return rows.sort((a, b) => a.at - b.at || 0).reverse();
}

/** The rows to write so that `reference` names `image`; none when it does so already. Call inside `rows.update`. */
export function planReference(rows: Rows, to: Required<HistoryRow>): RowChange[] {
  const key = referenceKey(to.reference, to.platform);
  const present = rows.get<ReferenceRow>('reference', key);
  if (present?.image === to.image) return [];
  const changes = nextChange(rows, key);
  const { reference, platform, image } = to;
  return [
    {
      kind: 'reference',
      key,
      value: { reference, platform, image, updated: to.at, changes } satisfies ReferenceRow,
    },
    { kind: 'history', key: historyKey(key, changes), value: to },
  ];
}

/** The rows to write so that `reference` is gone for that platform. Call inside `rows.update`. */
export function planRemoval(
  rows: Rows,
  row: Pick<ReferenceRow, 'reference' | 'platform'>,
  at: number,
): RowChange[] {
  const key = referenceKey(row.reference, row.platform);
  const gone: HistoryRow = { reference: row.reference, platform: row.platform, at, action: 'rm' };
  return [
    { kind: 'reference', key, value: undefined },
    { kind: 'history', key: historyKey(key, nextChange(rows, key)), value: gone },
  ];
}

/** The rows to write so that an earlier value of a reference is forgotten. Call inside `rows.update`. */
export function planForgetting(
  rows: Rows,
  { reference, platform, image }: Pick<ReferenceRow, 'reference' | 'platform' | 'image'>,
): RowChange[] {
  return rows
    .list<HistoryRow>('history', `${referenceKey(reference, platform)}\n`)
    .filter(({ value }) => value.image === image)
    .map(({ key }) => ({ kind: 'history', key, value: undefined }));
}

export function referenceKey(reference: Reference, platform: Platform): string {
  return `${reference}\n${platform}`;
}

function nextChange(rows: Rows, key: string): number {
  const last = rows.list('history', `${key}\n`).at(-1);
  return last === undefined ? 1 : Number(last.key.slice(last.key.lastIndexOf('\n') + 1)) + 1;
}

/** Zero-padded so that key order is time order. */
function historyKey(key: string, change: number): string {
  return `${key}\n${String(change).padStart(9, '0')}`;
}
