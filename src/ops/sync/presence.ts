/**
 * What the store has of an entry of `cellar.yaml` as that is written now. It may have been edited since the last look:
 * what was seen of another source, or for other platforms, says nothing of it.
 */
import type { ImageEntry, StoreLimits } from '../../config/images.ts';
import type { Digest } from '../../core/digest.ts';
import { hostPlatform, type Platform } from '../../core/platform.ts';
import type { ImageRecord } from '../../core/record.ts';
import { redact } from '../../core/redact.ts';
import { sourceKindOf } from '../../source/drivers.ts';
import { isPinned } from '../../store/pins.ts';
import { platformsOf } from '../../store/references.ts';
import { readRecord } from '../../store/resolve.ts';
import type { Store } from '../../store/store.ts';
import { freshness, isDue, upstreamRow, type Freshness, type UpstreamRow } from '../../store/upstream.ts';
import { isAsProven } from '../pull/proven.ts';

export interface Presence {
  /** For every platform that is wanted. */
  readonly isThere: boolean;
  /** Each as well as the configuration says now. */
  readonly isProven: boolean;
  readonly isDue: boolean;
  /** The last look was one of the entry as it is now, however long ago. */
  readonly isSettled: boolean;
  /** Of the platforms that are wanted. */
  readonly contents: ReadonlyMap<Platform, Digest>;
  readonly state: Freshness;
}

/** Of every entry where there is no store. */
export const absent: Presence = {
  ...{ isThere: false, isProven: false, isDue: true, isSettled: false },
  ...{ contents: new Map(), state: 'unknown' },
};

export function presence(store: Store, entry: ImageEntry, limits: Pick<StoreLimits, 'keep'>): Presence {
  const now = Date.now();
  const { refresh: _refresh, ...last } = upstreamRow(store, entry.reference) ?? noRow;
  const row = entry.refresh === undefined ? last : { ...last, refresh: entry.refresh };
  const have = platformsOf(store, entry.reference);
  const wanted = wantedPlatforms(entry) ?? have.map(({ platform }) => platform);
  const found = have.filter(({ platform }) => wanted.includes(platform));
  const isThere = found.length > 0 && wanted.every((name) => found.some(({ platform }) => platform === name));
  const records = found.map(({ image }) => readRecord(store, image));
  const isProven = records.every((record) => isAsProven(record, entry));
  const isAsked = isProven && row.source === redact(entry.source);
  const isSettled =
    isAsked &&
    isAsNoted(row, entry, limits) &&
    (!entry.pin || isPinned(store, entry.reference)) &&
    records.every((record) => isLabelled(record, entry));
  const noted = freshness(row, now);
  const state = noted === 'fresh' && !isAsked ? 'stale' : noted;
  return {
    isThere,
    isProven,
    isDue: !isSettled || isDue(row, now) || row.failed !== undefined,
    isSettled,
    contents: new Map(records.map(({ platform, content }) => [platform, content])),
    state: isThere || state === 'gone' ? state : 'unknown',
  };
}

const noRow: UpstreamRow = { source: '', seen: [], checked: 0 };

/** Nothing for all that the source has. What knows no platforms is kept for the first. */
export function wantedPlatforms({ platforms, source }: ImageEntry): readonly Platform[] | undefined {
  if (platforms === 'all') return sourceKindOf(source)?.isOfOnePlatform === true ? [hostPlatform] : undefined;
  const wanted = platforms ?? [hostPlatform];
  return sourceKindOf(source)?.isOfOnePlatform === true ? wanted.slice(0, 1) : wanted;
}

/** Is what only a look writes down what the configuration says? When a time after the pull was another is not known. */
function isAsNoted(
  row: UpstreamRow,
  { expires, keep }: ImageEntry,
  limits: Pick<StoreLimits, 'keep'>,
): boolean {
  if (row.keep !== (keep ?? limits.keep)) return false;
  if (expires === undefined) return true;
  return 'at' in expires ? row.expires === expires.at : row.expires !== undefined;
}

function isLabelled(record: ImageRecord, { labels }: ImageEntry): boolean {
  return Object.entries(labels).every(([key, value]) => record.labels[key] === value);
}
