/** After a look: what upstream had and when, or why it could not be asked. */
import type { CellarError } from '../../core/errors.ts';
import { canonicalJson } from '../../core/canonical-json.ts';
import type { Digest } from '../../core/digest.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import type { Offer } from '../../source/port.ts';
import { planPin } from '../../store/pins.ts';
import { platformsOf } from '../../store/references.ts';
import { readRecord } from '../../store/resolve.ts';
import {
  noteLook,
  planUpstream,
  upstreamRow,
  type FailedLook,
  type SeenImage,
  type UpstreamRow,
} from '../../store/upstream.ts';
import type { PulledImage } from '../pull.ts';
import type { Pulling } from './offer.ts';

export function noteSuccess(
  pulling: Pulling,
  offers: readonly Offer[],
  images: readonly PulledImage[],
): void {
  const { store, reference, source, options } = pulling;
  const now = Date.now();
  store.rows.update(() => {
    const before = upstreamRow(store, reference);
    const seen = offers.flatMap((offer, at) => seenNow(offer, images[at]));
    const others = (before?.source === source ? before.seen : []).filter(
      ({ platform }) => !seen.some((one) => one.platform === platform),
    );
    const expires = options.expires ?? offers.map((offer) => offer.expires).find((at) => at !== undefined);
    const row: UpstreamRow = {
      source,
      seen: [...seen, ...others],
      checked: now,
      ...(options.refreshEvery === undefined ? {} : { refresh: options.refreshEvery }),
      ...(expires === undefined ? {} : { expires }),
      ...(options.keep === undefined ? {} : { keep: options.keep }),
    };
    const pin = options.pin === undefined ? [] : planPin(store, reference, options.pin);
    if (before !== undefined && pin.length === 0 && saysTheSame(before, row))
      return { changes: [], result: undefined };
    return { changes: [planUpstream(reference, row), ...pin], result: undefined };
  });
  // With a new row, too: after a clock was put back an earlier note would outdo it.
  noteLook(store, reference, now);
}

/** But for the time, which must not be in the future: after a clock was put back the row is to say so. */
function saysTheSame(before: UpstreamRow, row: UpstreamRow): boolean {
  return (
    before.checked <= row.checked && canonicalJson({ ...before, checked: row.checked }) === canonicalJson(row)
  );
}

function seenNow(
  { platform, revision, etag, lastModified }: Offer,
  pulled: PulledImage | undefined,
): SeenImage[] {
  if (pulled?.image === undefined) return [];
  return [
    {
      platform,
      revision,
      ...(etag === undefined ? {} : { etag }),
      ...(lastModified === undefined ? {} : { lastModified }),
      image: pulled.image,
      ...(pulled.verified === 'no' ? {} : { verified: pulled.verified }),
    },
  ];
}

/** @returns what the store holds of the reference all the same */
export function noteFailure(
  { store, reference, source, options }: Pulling,
  error: CellarError,
): readonly PulledImage[] {
  const held = platformsOf(store, reference).map(({ platform, image }) => {
    const { kind, content, bytes, provenance } = readRecord(store, image);
    const { verified, sourceDigest } = provenance;
    return { sourceDigest, pulled: { platform, kind, image, content, verified, bytes } };
  });
  const before = upstreamRow(store, reference);
  if (before?.source === source && !store.readOnly && !saysNothing(error)) {
    const { gone: _gone, ...rest } = before;
    const sourceDigests = held.map(({ sourceDigest }) => sourceDigest);
    const failed: FailedLook = {
      ...{ at: Date.now(), code: error.code, problem: error.message },
      ...(isSameOffer(error, options.sha256, sourceDigests) ? { sameOffer: true as const } : {}),
    };
    const row: UpstreamRow = {
      ...rest,
      failed,
      ...(error.code === 'E_SOURCE_GONE' ? { gone: true as const } : {}),
    };
    store.rows.write([planUpstream(reference, row)]);
  }
  return held.map(({ pulled }) => ({ ...pulled, change: 'unchanged' }));
}

/** Of upstream: whoever gave up, or asked for what cannot be (exit 2: a keyring that is not there), has not heard of it. */
function saysNothing({ code, exitCode }: CellarError): boolean {
  return code === 'E_CANCELLED' || exitCode === 2;
}

/** A digest that was mistyped says nothing about upstream: what came, or its sums name, is what the image was made of. */
function isSameOffer(
  { code, details }: CellarError,
  asked: Digest | undefined,
  sourceDigests: readonly (Digest | undefined)[],
): boolean {
  const isAboutDigests = code === 'E_CHECKSUM_MISMATCH' || code === 'E_CHECKSUM_CONFLICT';
  if (!isAboutDigests || asked === undefined || details['wanted'] !== asked) return false;
  const { found } = details;
  return typeof found === 'string' && sourceDigests.includes(found);
}

const upstreams: ReadonlySet<ErrorCode> = new Set([
  'E_SOURCE_GONE',
  'E_SOURCE_UNREACHABLE',
  'E_HTTP_STATUS',
  'E_HTTP_UNREACHABLE',
  'E_HTTP_TIMEOUT',
  'E_HTTP_ATTEMPTS',
]);

/** Upstream could not be asked, or has nothing any more; anything that smells of tampering is not among these. */
export function isUpstreamsFault({ code }: CellarError): boolean {
  return upstreams.has(code);
}
