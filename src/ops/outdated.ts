/** `cellar outdated`: what is stale, expired, unverifiable, gone or never fetched, and when each was last asked for. */
import { loadConfig } from '../config/load.ts';
import type { Provenance } from '../core/record.ts';
import { redact } from '../core/redact.ts';
import type { Reference } from '../core/reference.ts';
import { platformsOf } from '../store/references.ts';
import { readRecord } from '../store/resolve.ts';
import { openIfThere, type Store } from '../store/store.ts';
import { freshness, listUpstream, upstreamRow, type Freshness, type UpstreamRow } from '../store/upstream.ts';
import type { Context } from './context.ts';

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
  const entries = new Map(
    loadConfig(context.configPath).images.map(({ reference, source }) => [reference, redact(source)]),
  );
  using store = openIfThere(context.storeRoot);
  // A source stays on record when its image is removed, so that it can be asked again by name.
  const known = store === undefined ? [] : pulledReferences(store);
  const images = [...new Set([...entries.keys(), ...known])]
    .toSorted()
    .map((reference) => describe(store, reference, entries.get(reference)));
  const stale = images.filter(({ state }) => state !== 'fresh');
  return { images: options.all === true ? images : stale, outdated: stale.length };
}

function pulledReferences(store: Store): Reference[] {
  const references = listUpstream(store).map(({ reference }) => reference);
  return references.filter((reference) => platformsOf(store, reference).length > 0);
}

function describe(store: Store | undefined, reference: Reference, source: string | undefined): OutdatedImage {
  const row = store === undefined ? undefined : upstreamRow(store, reference);
  const [first] = store === undefined ? [] : platformsOf(store, reference);
  const failed = row?.failed;
  return {
    reference,
    source: source ?? row?.source ?? '',
    state: stateOf(row, first !== undefined),
    ...(row === undefined ? {} : { checked: row.checked }),
    ...(row?.expires === undefined ? {} : { expires: row.expires }),
    ...(first === undefined || store === undefined
      ? {}
      : { verified: readRecord(store, first.image).provenance.verified }),
    ...(failed === undefined ? {} : { problem: { code: failed.code, message: failed.problem } }),
  };
}

/** What was removed or evicted is as if it had never been asked for. */
function stateOf(row: UpstreamRow | undefined, isThere: boolean): OutdatedImage['state'] {
  const refused = /^E_(?:SIGNATURE|CHECKSUM|VERIFICATION|COSIGN)/.test(row?.failed?.code ?? '');
  if (refused) return 'unverifiable';
  const state = freshness(row, Date.now());
  return isThere || state === 'gone' ? state : 'unknown';
}
