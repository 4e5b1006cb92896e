/** `cellar outdated`: what is stale, expired, unverifiable, gone or never fetched, and when each was last asked for. */
import { loadConfig } from '../config/load.ts';
import type { ImageEntry } from '../config/images.ts';
import type { StoreLimits } from '../config/images.ts';
import type { Digest } from '../core/digest.ts';
import type { Provenance } from '../core/record.ts';
import { redact } from '../core/redact.ts';
import type { Reference } from '../core/reference.ts';
import { platformsOf } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import { openIfThere, type Store } from '../store/store.ts';
import { freshness, listUpstream, upstreamRow, type Freshness, type UpstreamRow } from '../store/upstream.ts';
import type { Context } from './context.ts';
import { presence } from './sync/presence.ts';

export interface OutdatedOptions {
  /** Also what is fresh. */
  readonly all?: boolean | undefined;
}

export interface OutdatedImage {
  readonly reference: Reference;
  readonly source: string;
  /** `unverifiable`: what upstream offers now was refused. */
  readonly state: Freshness | 'unverifiable';
  /** Milliseconds since the epoch. */
  readonly checked?: number;
  /** Seconds since the epoch. */
  readonly expires?: number;
  readonly verified?: Provenance['verified'];
  /** What the last failed look said, with its code. */
  readonly problem?: { readonly code: string; readonly message: string };
}

export interface OutdatedResult {
  readonly images: readonly OutdatedImage[];
  /** How many are not fresh. */
  readonly outdated: number;
}

/** From records alone; asks no source. @throws E_CONFIG */
export async function outdated(context: Context, options: OutdatedOptions = {}): Promise<OutdatedResult> {
  const config = loadConfig(context.configPath);
  const entries = new Map(config.images.map((entry) => [entry.reference, entry]));
  using store = openIfThere(context.storeRoot);
  // A source stays on record when its image is removed, so that it can be asked again by name.
  const known = store === undefined ? [] : pulledReferences(store);
  const images = [...new Set([...entries.keys(), ...known])]
    .toSorted()
    .map((reference) =>
      outdatedImage(store, reference, { entry: entries.get(reference), limits: config.store }),
    );
  const stale = images.filter(({ state }) => state !== 'fresh');
  return { images: options.all === true ? images : stale, outdated: stale.length };
}

function pulledReferences(store: Store): Reference[] {
  const references = listUpstream(store).map(({ reference }) => reference);
  return references.filter((reference) => platformsOf(store, reference).length > 0);
}

function outdatedImage(
  store: Store | undefined,
  reference: Reference,
  { entry, limits }: { entry: ImageEntry | undefined; limits: StoreLimits },
): OutdatedImage {
  const row = store === undefined ? undefined : upstreamRow(store, reference);
  const [first] = store === undefined ? [] : platformsOf(store, reference);
  const made =
    first === undefined || store === undefined ? undefined : readRecord(store, first.image).provenance;
  const failed = row?.failed;
  const state =
    entry === undefined || store === undefined
      ? freshness(row, Date.now())
      : presence(store, entry, limits).state;
  return {
    reference,
    source: entry === undefined ? (row?.source ?? '') : redact(entry.source),
    state: stateOf(state, { row, made, wanted: entry?.sha256 }),
    ...(row === undefined ? {} : { checked: row.checked }),
    ...(row?.expires === undefined ? {} : { expires: row.expires }),
    ...(made === undefined ? {} : { verified: made.verified }),
    ...(failed === undefined ? {} : { problem: { code: failed.code, message: failed.problem } }),
  };
}

/**
 * What was removed or evicted is as if it had never been asked for.
 * @param made of the image that is there
 * @param wanted digest that the configuration asks for, each time anew
 */
function stateOf(
  state: Freshness,
  {
    row,
    made,
    wanted,
  }: { row: UpstreamRow | undefined; made: Provenance | undefined; wanted: Digest | undefined },
): OutdatedImage['state'] {
  if (made === undefined) return state === 'gone' ? state : 'unknown';
  const isRefusal = /^E_(?:SIGNATURE|CHECKSUM|VERIFICATION|COSIGN)/.test(row?.failed?.code ?? '');
  const isOnlyAsked =
    row?.failed?.sameOffer === true && (wanted === undefined || wanted === made.sourceDigest);
  return isRefusal && !isOnlyAsked ? 'unverifiable' : state;
}
