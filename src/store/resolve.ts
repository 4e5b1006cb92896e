/** From what a user typed to one image: references, digests, digest prefixes and earlier values. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { hostPlatform, type Platform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseSelector, type Reference } from '../core/reference.ts';
import { platformsOf, referenceHistory, type ReferenceRow } from './references.ts';
import { noImage, notForPlatform } from './missing.ts';
import type { Store } from './store.ts';

export interface Image {
  /** Absent when it was named by digest. */
  readonly reference?: Reference;
  readonly platform: Platform;
  /** Digest of the record. */
  readonly digest: Digest;
  readonly record: ImageRecord;
}

/**
 * The image that `text` names, on `platform`, else on this machine's platform, else on the only one.
 * @throws E_REFERENCE_INVALID, E_NOT_FOUND, E_PLATFORM_AMBIGUOUS, E_DIGEST_AMBIGUOUS
 */
export function resolveImage(
  store: Store,
  text: string,
  options: { platform?: Platform | undefined } = {},
): Image {
  const selector = parseSelector(text);
  if (selector.by === 'digest') {
    const found = byDigest(store, selector.prefix);
    if (found !== undefined) return found;
    // A name such as `20260801` is a prefix of a digest as well: it is a reference where no digest begins so.
    const named = platformsOf(store, `${text}:latest`);
    if (named.length === 0) throw noImage(store, text);
    return onPlatform(store, named, { text, wanted: options.platform });
  }
  if (selector.earlier > 0) return byHistory(store, text, selector, options.platform);
  const rows = platformsOf(store, selector.reference).filter(
    (row) => selector.digest === undefined || matches(store, row, selector.digest),
  );
  if (rows.length === 0) throw noImage(store, selector.digest === undefined ? selector.reference : text);
  return onPlatform(store, rows, { text, wanted: options.platform });
}

/** `rows` are the platforms of one reference. */
function onPlatform(
  store: Store,
  rows: readonly ReferenceRow[],
  { text, wanted }: { text: string; wanted: Platform | undefined },
): Image {
  const row = choosePlatform(text, rows, wanted);
  if (row === undefined) throw notForPlatform(store, rows, wanted!);
  return {
    reference: row.reference,
    platform: row.platform,
    digest: row.image,
    record: readRecord(store, row.image),
  };
}

/** @throws E_DATABASE_DAMAGED when a reference names a record that is not there */
export function readRecord(store: Store, image: Digest): ImageRecord {
  const record = store.rows.get<ImageRecord>('image', image);
  if (record === undefined)
    throw new CellarError('E_DATABASE_DAMAGED', { details: { problem: `record ${image} is missing` } });
  return record;
}

export function listImages(store: Store): { digest: Digest; record: ImageRecord }[] {
  return store.rows.list<ImageRecord>('image').map(({ key, value }) => ({ digest: key, record: value }));
}

/** `undefined` where no image begins so. @throws E_DIGEST_AMBIGUOUS */
function byDigest(store: Store, prefix: string): Image | undefined {
  const found = listImages(store).filter(
    ({ digest, record }) => digest.startsWith(prefix) || record.content.startsWith(prefix),
  );
  const contents = new Set(found.map(({ record }) => record.content));
  const exact = found.find(({ digest }) => digest === prefix) ?? (contents.size === 1 ? found[0] : undefined);
  if (exact !== undefined) return { platform: exact.record.platform, ...exact };
  if (found.length === 0) return undefined;
  throw new CellarError('E_DIGEST_AMBIGUOUS', {
    details: { prefix, matches: found.map(({ digest }) => digest.slice(0, 16)).join(', ') },
  });
}

function byHistory(
  store: Store,
  text: string,
  selector: { reference: Reference; earlier: number },
  platform?: Platform,
): Image {
  const rows = platformsOf(store, selector.reference);
  const all = referenceHistory(store, selector.reference);
  const on = platform ?? (choosePlatform(text, rows, undefined) ?? all[0])?.platform;
  const values = all.filter((row) => row.platform === on && row.image !== undefined);
  // Of a reference that was removed, nothing is the value of now, and the last it had the one before.
  const row = values[selector.earlier - (rows.some((one) => one.platform === on) ? 0 : 1)];
  const record = row?.image === undefined ? undefined : store.rows.get<ImageRecord>('image', row.image);
  if (row?.image === undefined || record === undefined) {
    throw new CellarError('E_NOT_FOUND', {
      details: { reference: text, store: store.root },
      ...(all.length === 0 ? {} : { hint: `'cellar history ${selector.reference}' shows what is kept` }),
    });
  }
  return { reference: row.reference, platform: row.platform, digest: row.image, record };
}

function choosePlatform(
  text: string,
  rows: readonly ReferenceRow[],
  wanted: Platform | undefined,
): ReferenceRow | undefined {
  if (wanted !== undefined) return rows.find((row) => row.platform === wanted);
  if (rows.length <= 1) return rows[0];
  const host = rows.find((row) => row.platform === hostPlatform);
  if (host !== undefined) return host;
  throw new CellarError('E_PLATFORM_AMBIGUOUS', {
    details: { reference: text, platforms: rows.map((row) => row.platform).join(', ') },
  });
}

function matches(store: Store, row: ReferenceRow, digest: Digest): boolean {
  return row.image === digest || readRecord(store, row.image).content === digest;
}
