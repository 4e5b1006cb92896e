/**
 * Is what the store holds as good as is asked for now? The demand may be more than it was when that was pulled, and a
 * mistyped source is no reason to be content with what came from another.
 */
import type { CellarError } from '../../core/errors.ts';
import type { Digest } from '../../core/digest.ts';
import { hostPlatform } from '../../core/platform.ts';
import type { ImageRecord } from '../../core/record.ts';
import type { VerifyPolicy } from '../../source/verify/evidence.ts';
import { platformsOf } from '../../store/references.ts';
import { readRecord } from '../../store/resolve.ts';
import { upstreamRow } from '../../store/upstream.ts';
import type { Pulling } from './offer.ts';

export interface Demand {
  readonly verify?: VerifyPolicy | undefined;
  readonly sha256?: Digest | undefined;
  /** Who must have signed an OCI image. */
  readonly cosign?: object | undefined;
}

/** A level, a digest and a signer are held against the record alone; whether the signer is still trusted is not asked. */
export function isAsProven(
  { kind, provenance: { verified, sourceDigest } }: ImageRecord,
  { verify = 'strongest', sha256, cosign }: Demand,
): boolean {
  if (sha256 !== undefined && sha256 !== sourceDigest) return false;
  const isSigned = verified === 'signature';
  // Who names a signer of OCI images means it, unless less will do.
  if (verify === 'strongest') return isSigned || cosign === undefined || kind !== 'oci';
  return verify === 'signature' ? isSigned : verify === 'no' || verified !== 'no';
}

/** May what the store holds of the reference stay in use, since upstream failed with `error`? */
export function standsIn({ store, reference, source, options }: Pulling, error: CellarError): boolean {
  const isSameSource = upstreamRow(store, reference)?.source === source;
  // An upstream that answers has withdrawn only what it once gave.
  if (error.code === 'E_SOURCE_GONE' && !isSameSource) return false;
  const named = isSameSource ? undefined : /@sha256:([0-9a-f]{64})$/.exec(source)?.[1];
  const { platforms = [hostPlatform] } = options;
  return platformsOf(store, reference)
    .filter(({ platform }) => platforms === 'all' || platforms.includes(platform))
    .map(({ image }) => readRecord(store, image))
    .every((record) => isAsProven(record, options) && (named === undefined || record.content === named));
}
