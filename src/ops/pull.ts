/**
 * `cellar pull`: what a source offers becomes an image, verified, only when it changed, and once however many ask.
 *
 *   look → nothing new? done → evidence → already stored? refer → room? → transfer → verify → store → reference
 *
 * Whatever fails before the last step leaves the reference where it was.
 */
import { hostPlatform, type Platform } from '../core/platform.ts';
import { isCellarError, type CellarError } from '../core/errors.ts';
import type { Digest } from '../core/digest.ts';
import type { ImageKind, Provenance } from '../core/record.ts';
import { redact } from '../core/redact.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import type { HttpOptions } from '../net/port.ts';
import type { CosignPolicy } from '../source/verify/cosign-offer.ts';
import type { VerifyPolicy } from '../source/verify/evidence.ts';
import { enterFlight } from '../store/single-flight.ts';
import { openToFill } from '../store/dry-run.ts';
import { requireWritable } from '../store/store.ts';
import { freshness, upstreamRow, type Freshness } from '../store/upstream.ts';
import { explained } from '../sys/any-error.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { knownOf, lookUpstream } from './pull/look.ts';
import { pullOffer, type Pulling } from './pull/offer.ts';
import { standsIn } from './pull/proven.ts';
import { defaultReference } from './pull/reference.ts';
import { isUpstreamsFault, noteFailure, noteSuccess } from './pull/remember.ts';

export interface PullOptions {
  readonly source: string;
  /** Else made from the source's name. */
  readonly reference?: string | undefined;
  readonly platforms?: readonly Platform[] | 'all' | undefined;
  /** Default `strongest`: what the source offers, and no less than the reference had before. */
  readonly verify?: VerifyPolicy | undefined;
  readonly sha256?: Digest | undefined;
  /** Paths of OpenPGP keyrings; else the store's keys and those of systemd. */
  readonly keyrings?: readonly string[] | undefined;
  readonly cosign?: CosignPolicy | undefined;
  /** Transfer and verify again even if upstream says that nothing changed. */
  readonly refresh?: boolean | undefined;
  readonly mirrors?: readonly string[] | undefined;
  readonly http?: HttpOptions | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly pin?: boolean | undefined;
  /** How often upstream is to be asked by `sync`, milliseconds. */
  readonly refreshEvery?: number | undefined;
  /** Seconds since the epoch. */
  readonly expires?: number | undefined;
  /** Earlier values to keep. */
  readonly keep?: number | undefined;
  /** Bytes that the store may take. */
  readonly maxStoreSize?: number | undefined;
  /** References that do not go for it to stay within them. */
  readonly spare?: readonly Reference[] | undefined;
  /** Bounds against bombs: bytes of content, number of entries. */
  readonly maxSize?: number | undefined;
  readonly maxFiles?: number | undefined;
  /** The content that each platform must turn out to have; what a lock file says. */
  readonly locked?: ReadonlyMap<Platform, Digest> | undefined;
  /** Look, and say what would be done. */
  readonly dryRun?: boolean | undefined;
}

export interface PulledImage {
  readonly platform: Platform;
  readonly kind: ImageKind;
  readonly change: 'new' | 'updated' | 'unchanged';
  /** Absent in a dry run that would transfer it. */
  readonly image?: Digest;
  readonly content?: Digest;
  readonly verified: Provenance['verified'];
  readonly signer?: string;
  readonly bytes: number;
}

export interface PullResult {
  readonly reference: Reference;
  /** Redacted. */
  readonly source: string;
  readonly state: Freshness;
  readonly images: readonly PulledImage[];
  readonly newObjects: number;
  readonly newBytes: number;
  /** Bytes of content that came from upstream. */
  readonly transferred: number;
  readonly elapsedMs: number;
  readonly dryRun: boolean;
  /** Why upstream could not be asked; what the store holds is still good to use. */
  readonly problem?: { readonly code: string; readonly message: string };
}

/**
 * With an image in the store that is as good as is asked for, and upstream out of reach, the result is `stale` and
 * carries the problem.
 * @throws E_SOURCE_*, E_HTTP_*, E_CHECKSUM_*, E_SIGNATURE_*, E_VERIFICATION_*, E_ARCHIVE_*, E_NO_SPACE, E_STORE_FULL
 */
export async function pull(context: Context, options: PullOptions): Promise<PullResult> {
  const started = performance.now();
  const began = Date.now();
  const source = redact(options.source);
  const reference = parseReference(options.reference ?? defaultReference(options.source));
  using store = openToFill(context.storeRoot, options);
  requireWritable(store);
  using flight = await enterFlight(store.root, options.source, { signal: context.signal });
  const tally = { newObjects: 0, newBytes: 0, transferred: 0 };
  const pulling: Pulling = { context, store, reference, source, options, tally };
  const finish = (images: readonly PulledImage[], problem?: CellarError): PullResult => ({
    reference,
    source,
    state: freshness(upstreamRow(store, reference), Date.now()),
    images,
    ...tally,
    elapsedMs: elapsedSince(started),
    dryRun: options.dryRun === true,
    ...(problem === undefined ? {} : { problem: { code: problem.code, message: problem.message } }),
  });
  try {
    const known = knownOf(pulling);
    // Whoever was in flight before us has just asked; what it brought is what we would get.
    const wasAsked = flight.waited && options.refresh !== true && (known?.checked ?? 0) >= began;
    await using looked = await lookUpstream(pulling, wasAsked ? known : undefined);
    const images: PulledImage[] = [];
    for (const offer of looked.offers) images.push(await pullOffer(pulling, looked, offer));
    if (options.dryRun !== true) noteSuccess(pulling, looked.offers, images);
    return finish(images);
  } catch (thrown) {
    const error = explained(thrown);
    if (!isCellarError(error) || options.dryRun === true) throw error;
    const cached = noteFailure(pulling, error);
    if (cached.length === 0 || !isUpstreamsFault(error) || !isAsLocked(cached, options)) throw error;
    if (!standsIn(pulling, error)) throw error;
    context.events({
      type: 'warning',
      code: error.code,
      text: `${error.message}; what the store holds stays in use`,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
    return finish(cached, error);
  }
}

/** What a lock file does not name must not stay in use in place of what it names. */
function isAsLocked(held: readonly PulledImage[], { locked, platforms }: PullOptions): boolean {
  const asked = platforms === 'all' ? undefined : (platforms ?? [hostPlatform]);
  return held.every(
    ({ platform, content }) =>
      locked === undefined || asked?.includes(platform) === false || locked.get(platform) === content,
  );
}
