/** Asking upstream: the driver that knows this kind of source, a client of its own, and what was seen the last time. */
import { existsSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { hostPlatform, type Platform } from '../../core/platform.ts';
import type { ImageRecord, Provenance } from '../../core/record.ts';
import { CellarError } from '../../core/errors.ts';
import { createHttpClient } from '../../net/http-client.ts';
import type { HttpClient } from '../../net/port.ts';
import { sourceKindOf } from '../../source/drivers.ts';
import type { Offer } from '../../source/port.ts';
import { looseObjects } from '../../store/blobs.ts';
import { damagedObjects } from '../../store/damaged.ts';
import { treeFile } from '../../store/layout.ts';
import { objectSize } from '../../store/objects.ts';
import { platformsOf } from '../../store/references.ts';
import type { Store } from '../../store/store.ts';
import { listUpstream, upstreamRow, type SeenImage, type UpstreamRow } from '../../store/upstream.ts';
import type { Pulling } from './offer.ts';
import { trustedSigners } from './trust.ts';

export interface Looked extends AsyncDisposable {
  readonly offers: readonly Offer[];
  readonly client: HttpClient;
  /** The images that earlier looks at this source became, by platform. */
  readonly seen: readonly SeenImage[];
  /** No network: the operator's own disk. */
  readonly isLocal: boolean;
}

/** `known` says what upstream has without asking it. @throws what drivers and the client do */
export async function lookUpstream(pulling: Pulling, known: UpstreamRow | undefined): Promise<Looked> {
  const { context, options } = pulling;
  const kind = sourceKindOf(options.source);
  if (kind === undefined)
    throw new CellarError('E_SOURCE_INVALID', {
      details: { source: pulling.source, problem: 'no kind of source is written like this' },
      ...(looksLikeImage.test(options.source)
        ? { hint: `an image in a registry is written docker://${options.source}` }
        : {}),
    });
  await using stack = new AsyncDisposableStack();
  const source = stack.use(
    (await kind.load()).open(options.source, { mirrors: options.mirrors ?? [], http: options.http ?? {} }),
  );
  const client = stack.use(
    createHttpClient(options.http ?? {}, { events: context.events, origin: source.origin }),
  );
  const seen = await usableSeen(pulling);
  const platforms = options.platforms ?? [hostPlatform];
  const offers =
    unchangedOffers(pulling.store, { platforms, seen, known }) ??
    (await source.look({ platforms, known: seen }, { client, signal: context.signal }));
  const owned = stack.move();
  return {
    offers,
    client,
    seen,
    isLocal: kind.isLocal === true,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** `debian:12`, `ghcr.io/org/name:1.2`. */
const looksLikeImage = /^[a-z0-9][a-z0-9./_-]*:[A-Za-z0-9_][\w.-]*$/;

/** The row of this source that was renewed last: of this reference, or of another with the same source. */
export function knownOf({ store, source, reference }: Pulling): UpstreamRow | undefined {
  const own = upstreamRow(store, reference);
  const rows = listUpstream(store)
    .map(({ row }) => row)
    .filter((row) => row.source === source);
  if (own?.source === source) rows.push(own);
  return rows.toSorted((a, b) => a.checked - b.checked).at(-1);
}

/** What need not come again: images of this source that are whole and verified as well as is asked for now. */
async function usableSeen(pulling: Pulling): Promise<readonly SeenImage[]> {
  const { store, source, options } = pulling;
  if (options.refresh === true) return [];
  const isTrusted = await trustedSigners(pulling);
  const usable: SeenImage[] = [];
  for (const seen of knownOf(pulling)?.seen ?? []) {
    const record = store.rows.get<ImageRecord>('image', seen.image);
    if (record === undefined || !isThere(store, record) || !satisfies(record.provenance, options)) continue;
    if (hidesQuery.test(source) && !isStrong(seen)) continue;
    if (options.verify === undefined && !isAsStrong(pulling, record, seen)) continue;
    const isPresent = seen.image === presentImage(pulling, seen.platform);
    if (await isTrusted(record, isPresent)) usable.push(seen);
  }
  return usable;
}

/** Sources are remembered without their secrets: of those that differ in one, a date does not tell which it is of. */
const hidesQuery = /[?&;][^=&]+=\*\*\*/;

function isStrong({ etag }: SeenImage): boolean {
  return etag?.startsWith('"') === true;
}

/**
 * Would the strongest that the source offers be no more than this? Less than before it must not be; and what another
 * reference was content with says nothing of a signature that may be there. Registries are asked for one by its key only.
 */
function isAsStrong(
  pulling: Pulling,
  { kind, provenance: { verified } }: ImageRecord,
  { platform, image }: SeenImage,
): boolean {
  if (verified === 'signature' || image === presentImage(pulling, platform)) return true;
  return kind === 'oci' && levelBefore(pulling, platform) !== 'signature';
}

/** How the version was verified that the reference has, or had until it was evicted or removed. */
export function levelBefore(
  pulling: Pulling,
  platform: Platform,
): ImageRecord['provenance']['verified'] | undefined {
  const { store, reference } = pulling;
  const present = presentImage(pulling, platform);
  const record = present === undefined ? undefined : store.rows.get<ImageRecord>('image', present);
  if (record !== undefined) return record.provenance.verified;
  return upstreamRow(store, reference)?.seen.find((seen) => seen.platform === platform)?.verified;
}

/** What the reference names now. */
export function presentImage({ store, reference }: Pulling, platform: Platform): Digest | undefined {
  return platformsOf(store, reference).find((row) => row.platform === platform)?.image;
}

/** By name and size only: reading it all is what fsck does, and every way out of the store hashes. */
export function isThere(store: Store, record: ImageRecord): boolean {
  const tree = record.kind === 'tree' ? record.content : undefined;
  if (tree !== undefined && !existsSync(treeFile(store.root, tree, 'dump.zst'))) return false;
  if (damagedObjects(store).size > 0) return false;
  return looseObjects(store, record).every((object) => objectSize(store.root, object) !== undefined);
}

function satisfies(
  { verified, sourceDigest }: Provenance,
  { verify, sha256, locked }: Pulling['options'],
): boolean {
  if (locked !== undefined) return false;
  if (sha256 !== undefined && sha256 !== sourceDigest) return false;
  if (verify === 'signature') return verified === 'signature';
  if (verify === 'checksum') return verified !== 'no';
  return verify === 'no' || verified !== 'no';
}

/** Nothing where somebody has to be asked: not everything that is wanted was seen, or not as it is wanted. */
function unchangedOffers(
  store: Store,
  {
    platforms,
    seen,
    known,
  }: { platforms: readonly Platform[] | 'all'; seen: readonly SeenImage[]; known: UpstreamRow | undefined },
): Offer[] | undefined {
  if (known === undefined || platforms === 'all') return undefined;
  const wanted = platforms.map((platform) => seen.find((one) => one.platform === platform));
  return wanted.some((one) => one === undefined || !known.seen.some(({ image }) => image === one.image))
    ? undefined
    : wanted.flatMap((one) => {
        const { image, ...rest } = one!;
        const record = store.rows.get<ImageRecord>('image', image);
        if (record === undefined) return [];
        return [{ ...rest, kind: record.kind, unchanged: true as const, parts: [], labels: record.labels }];
      });
}

export function seenImage(seen: readonly SeenImage[], offer: Offer): Digest | undefined {
  return seen.find(({ platform }) => platform === offer.platform)?.image;
}
