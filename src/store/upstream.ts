/**
 * What is known of a reference's upstream: where it comes from, what was seen there, when, and how long that is good
 * for. Times are integers, milliseconds since the epoch unless a name says seconds; a clock is always handed in.
 *
 * A look that saw nothing new changes no row, which would cost several flushes of the disk, but the modification time of
 * an empty file, `downloads/<key>.looked`. A power cut may lose it: upstream is then asked again a little sooner.
 */
import { futimesSync, openSync, statSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { Reference } from '../core/reference.ts';
import { closeQuietly } from '../sys/close.ts';
import { isSystemCall } from '../sys/errno.ts';
import type { RowChange } from './rows.ts';
import { downloadKey, downloadsDirectory } from './downloads.ts';
import { inStore } from './layout.ts';
import type { Store } from './store.ts';

export interface UpstreamRow {
  /** As it was given, without secrets. */
  readonly source: string;
  /** What the last look that succeeded saw, and the image that it became. */
  readonly seen: readonly SeenImage[];
  /** The last look that was answered. */
  readonly checked: number;
  /** The last try that failed, when it came after that. */
  readonly failed?: FailedLook;
  /** Upstream said that it no longer has it. */
  readonly gone?: true;
  /** How often to ask. */
  readonly refresh?: number;
  /** When the image ceases to be good: seconds since the epoch. */
  readonly expires?: number;
  /** Earlier values to keep. */
  readonly keep?: number;
}

export interface FailedLook {
  readonly at: number;
  readonly code: string;
  readonly problem: string;
  /** Upstream offered what the image is; only the digest that was asked for is another, so nothing is newer there. */
  readonly sameOffer?: true;
}

export interface SeenImage {
  readonly platform: Platform;
  readonly revision: string;
  readonly etag?: string;
  readonly lastModified?: string;
  readonly image: Digest;
  /** How it was verified: what follows an image that was evicted is held to that, too. Absent for what was not. */
  readonly verified?: 'signature' | 'checksum';
}

export type Freshness = 'fresh' | 'stale' | 'expired' | 'unknown' | 'gone';

export function upstreamRow(store: Store, reference: Reference): UpstreamRow | undefined {
  const row = store.rows.get<UpstreamRow>('upstream', reference);
  return row && withLastLook(store, reference, row);
}

export function listUpstream(store: Store): { reference: Reference; row: UpstreamRow }[] {
  return store.rows
    .list<UpstreamRow>('upstream')
    .map(({ key, value }) => ({ reference: key, row: withLastLook(store, key, value) }));
}

/** Note a look at `now` that saw what the row says. */
export function noteLook(store: Store, reference: Reference, now: number): void {
  try {
    touch(`${downloadsDirectory(store.root)}/${lookedFile(reference)}`, now / 1000);
  } catch (error) {
    // On a full or failing disk it is as if nobody had looked: what is stored is as good as upstream's all the same.
    if (!isSystemCall(error)) throw error;
  }
}

function touch(file: string, seconds: number): void {
  const fd = openSync(file, 'a', 0o600);
  try {
    futimesSync(fd, seconds, seconds);
  } finally {
    closeQuietly(fd);
  }
}

function withLastLook(store: Store, reference: Reference, row: UpstreamRow): UpstreamRow {
  const file = `${inStore(store.root, 'downloads')}/${lookedFile(reference)}`;
  const looked = Math.round(statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  return looked > row.checked ? { ...row, checked: looked } : row;
}

function lookedFile(reference: Reference): string {
  return `${downloadKey(reference)}.looked`;
}

export function planUpstream(reference: Reference, row: UpstreamRow | undefined): RowChange {
  return { kind: 'upstream', key: reference, value: row };
}

/** `now` in milliseconds since the epoch. */
export function freshness(row: UpstreamRow | undefined, now: number): Freshness {
  if (row === undefined || row.seen.length === 0) return 'unknown';
  if (row.gone === true) return 'gone';
  if (row.expires !== undefined && now >= row.expires * 1000) return 'expired';
  if ((row.failed !== undefined && row.failed.sameOffer !== true) || isDue(row, now)) return 'stale';
  return 'fresh';
}

/** Whether upstream is to be asked again. Without an interval nothing falls due by itself. */
export function isDue(row: UpstreamRow | undefined, now: number): boolean {
  if (row === undefined || row.seen.length === 0) return true;
  if (row.expires !== undefined && now >= row.expires * 1000) return true;
  // A clock that was put back must not keep an image fresh for ever.
  return row.refresh !== undefined && (now >= row.checked + row.refresh || row.checked > now);
}
