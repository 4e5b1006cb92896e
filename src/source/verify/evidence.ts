/**
 * What proves a part of an image before it is transferred: found beside it, in the places where publishers put it.
 *
 *   signature   FILE.asc|.gpg|.sig over the file itself; FILE.sha256, in the clear or with .asc|.gpg;
 *               SHA256SUMS, in the clear or with .gpg|.asc|.sign; or SHA256SUMS.asc alone, in the clear
 *   checksum    the digest that the user or the source gives, FILE.sha256, SHA256SUMS
 *
 * Only "not found" (404) leads on to the next place; any other failure ends it, as does a signature that is there and
 * does not hold. So whoever can break an answer gains no more than who can suppress it, and `atLeast` meets that.
 */
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Keyring } from './keyring.ts';
import type { Signer } from './openpgp.ts';
import { findSidecars } from './sidecars.ts';

export type VerifyLevel = 'signature' | 'checksum' | 'no';

/** The higher, the more is proven. */
export const rank: Readonly<Record<VerifyLevel, number>> = { no: 0, checksum: 1, signature: 2 };

/** What the user demands; `strongest` is whatever the source offers, but something. */
export type VerifyPolicy = 'strongest' | VerifyLevel;

export interface Evidence {
  readonly level: VerifyLevel;
  /** What the bytes must have. */
  readonly sha256?: Digest;
  readonly signer?: Signer;
  /** Where the digest was listed, redacted. */
  readonly checksums?: string;
  /**
   * There is a signature over the file itself: until this has been given all of its bytes and come back, the level is
   * not reached. @throws E_SIGNATURE_BAD
   */
  readonly verifyFile?: (chunks: AsyncIterable<Uint8Array>) => Promise<Signer>;
}

export interface EvidenceOptions {
  readonly policy: VerifyPolicy;
  /** How the version before was verified; `strongest` never silently offers less. */
  readonly atLeast?: VerifyLevel;
  readonly keyring: Keyring;
  /** A small file, `undefined` for 404. */
  readonly small: (url: string) => Promise<Buffer | undefined>;
  /** Digest that the user gives. */
  readonly sha256?: Digest;
  readonly now: Date;
  readonly signal: AbortSignal;
}

export interface Provable {
  readonly name: string;
  /** Where it is; what proves it is looked for beside it. */
  readonly url?: string;
  /** Digest that the source itself gives. */
  readonly sha256?: Digest;
}

/**
 * @throws E_VERIFICATION_UNAVAILABLE, E_VERIFICATION_DOWNGRADE, E_SIGNATURE_*, E_CHECKSUM_*, E_KEYRING_INVALID and
 *   whatever `small` does
 */
export async function gatherEvidence(part: Provable, options: EvidenceOptions): Promise<Evidence> {
  const { policy, atLeast = 'no' } = options;
  const given = options.sha256 ?? part.sha256;
  if (policy === 'no') return { level: options.sha256 === undefined ? 'no' : 'checksum', ...digestIf(given) };
  const needed = policy === 'strongest' ? atLeast : policy;
  const isEnough = options.sha256 !== undefined || (policy === 'checksum' && given !== undefined);
  const found: Evidence =
    part.url === undefined || (isEnough && needed !== 'signature')
      ? { level: 'no' }
      : await findSidecars({ ...part, url: part.url }, options);
  const evidence = combine(part, found, options);
  if (rank[evidence.level] < rank[needed] || evidence.level === 'no')
    throw tooLittle(part, evidence, options);
  return evidence;
}

/** Whoever names a digest has to name the same. @throws E_CHECKSUM_CONFLICT */
function combine({ name, sha256 }: Provable, found: Evidence, options: EvidenceOptions): Evidence {
  const says = [
    { who: '--sha256', digest: options.sha256 },
    { who: 'the source', digest: sha256 },
    { who: found.checksums ?? 'the sums', digest: found.sha256 },
  ].filter(({ digest }) => digest !== undefined);
  const [first] = says;
  const other = says.find(({ digest }) => digest !== first?.digest);
  if (first !== undefined && other !== undefined)
    throw new CellarError('E_CHECKSUM_CONFLICT', {
      details: { name, source: other.who, found: other.digest, other: first.who, wanted: first.digest },
    });
  const level = found.level === 'no' && first !== undefined ? 'checksum' : found.level;
  return { ...found, level, ...digestIf(first?.digest) };
}

function digestIf(sha256: Digest | undefined): { sha256?: Digest } {
  return sha256 === undefined ? {} : { sha256 };
}

const noSignature =
  '--verify=checksum, with --sha256 for a digest you know, goes without one; --verify=no records that nothing was checked';

function tooLittle({ name, url }: Provable, { level }: Evidence, options: EvidenceOptions): CellarError {
  const { policy, atLeast } = options;
  const source = url ?? name;
  if (policy === 'strongest' && atLeast !== undefined && rank[level] < rank[atLeast])
    return new CellarError('E_VERIFICATION_DOWNGRADE', {
      details: { source, before: atLeast, found: level === 'no' ? 'nothing to check it by' : level },
      hint: `when that is right, --verify=${level} says so`,
    });
  const wanted = policy === 'strongest' ? 'signature and no checksum' : policy;
  return new CellarError('E_VERIFICATION_UNAVAILABLE', {
    details: { source, wanted },
    // A digest that somebody knows is no signature.
    ...(policy === 'signature' ? { hint: noSignature } : {}),
  });
}
