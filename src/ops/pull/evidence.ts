/** What proves an offer: for each part the digest it must have, and over all of them the weakest level found. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { Provenance } from '../../core/record.ts';
import type { Offer, Part } from '../../source/port.ts';
import {
  gatherEvidence,
  rank,
  type Evidence,
  type VerifyLevel,
  type VerifyPolicy,
} from '../../source/verify/evidence.ts';
import { loadKeyring, type Keyring } from '../../source/verify/keyring.ts';
import type { Looked } from './look.ts';
import type { Pulling } from './offer.ts';
import { isErrno, toCellarError } from '../../sys/errno.ts';

export interface Proof {
  readonly level: Provenance['verified'];
  /** Of all that is signed; nobody where the parts have several. */
  readonly signer?: string;
  /** Of the bytes that are or become the image. */
  readonly expected?: Digest;
  /** What a part must hash to, where that is known before it comes. */
  digestOf(part: Part): Digest | undefined;
  /** A signature over the part itself can only be checked once it is here. */
  evidenceOf(part: Part): Evidence | undefined;
}

/** @throws E_VERIFICATION_*, E_SIGNATURE_*, E_CHECKSUM_*, E_COSIGN_* */
export async function gatherOfferEvidence(
  pulling: Pulling,
  looked: Looked,
  offer: Offer,
  before: VerifyLevel | undefined,
): Promise<Proof> {
  if (offer.kind === 'oci') return await proofOfManifest(pulling, offer, before);
  const keyring = await loadKeyring({ store: pulling.store.root, files: pulling.options.keyrings ?? [] });
  const evidence = new Map<Part, Evidence>();
  for (const part of offer.parts) {
    const gathering = evidenceFor(part, { pulling, looked, keyring, before });
    evidence.set(part, part.role === 'attachment' ? await gathering.catch(refuseBeside) : await gathering);
  }
  const found = [...evidence.values()].toSorted((a, b) => rank[a.level] - rank[b.level]);
  const content = offer.parts.find(({ role }) => role === 'content');
  const own = content === undefined ? undefined : evidence.get(content);
  const signers = found.flatMap(({ signer }) => (signer === undefined ? [] : [signer]));
  // One name is recorded, and who trusts it later takes all that came with the image as signed by it.
  const isAll = signers.every(({ fingerprint }) => fingerprint === own?.signer?.fingerprint);
  const signer =
    own?.signer === undefined || !isAll ? undefined : `${own.signer.fingerprint} ${own.signer.user}`.trim();
  return {
    level: found[0]?.level ?? 'no',
    ...(signer === undefined ? {} : { signer }),
    ...(own?.sha256 === undefined ? {} : { expected: own.sha256 }),
    digestOf: (part) => evidence.get(part)?.sha256,
    evidenceOf: (part) => evidence.get(part),
  };
}

/** What may be said of the image's digest is no way out for what comes with it. */
function refuseBeside(error: unknown): never {
  if (!isCellarError(error, 'E_VERIFICATION_UNAVAILABLE') && !isCellarError(error, 'E_CHECKSUM_NAME'))
    throw error;
  throw new CellarError(error.code, {
    details: error.details,
    hint: 'it comes with the image; --sha256 is for the image alone, and --verify=no beside it asks no proof of the rest',
    cause: error,
  });
}

interface Given {
  readonly pulling: Pulling;
  readonly looked: Looked;
  readonly keyring: Keyring;
  readonly before: VerifyLevel | undefined;
}

async function evidenceFor(part: Part, given: Given): Promise<Evidence> {
  const { looked, pulling } = given;
  const { verify, sha256 } = pulling.options;
  if (part.format === 'directory' && sha256 !== undefined)
    throw new CellarError('E_USAGE', {
      details: { problem: '--sha256 is the digest of an archive or file; a directory has none' },
    });
  if (!looked.isLocal || verify !== undefined) return await judge(part, verify ?? 'strongest', given);
  try {
    return await judge(part, 'strongest', given);
  } catch (error) {
    // What lies on the operator's own disk, with nothing beside it to check it by, is as trusted as the operator.
    if (!isCellarError(error, 'E_VERIFICATION_UNAVAILABLE')) throw error;
    return await judge(part, 'no', given);
  }
}

async function judge(part: Part, policy: VerifyPolicy, given: Given): Promise<Evidence> {
  const { pulling, looked, keyring, before } = given;
  const { options, context } = pulling;
  const isContent = part.role === 'content';
  return await gatherEvidence(
    { name: part.name, ...urlOf(part), ...(part.sha256 === undefined ? {} : { sha256: part.sha256 }) },
    {
      policy,
      ...(before === undefined || options.verify !== undefined ? {} : { atLeast: before }),
      keyring,
      small: async (url) =>
        url.startsWith('file:')
          ? readIfThere(url)
          : (await looked.client.small(url, { limit: mostBeside, signal: context.signal }))?.bytes,
      ...(isContent && options.sha256 !== undefined ? { sha256: options.sha256 } : {}),
      now: new Date(),
      signal: context.signal,
    },
  );
}

/** What proves a directory would have to be in it. */
function urlOf({ from, format }: Part): { url?: string } {
  if (from.type === 'http') return { url: from.urls[0]! };
  return from.type === 'file' && format !== 'directory' ? { url: pathToFileURL(from.path).href } : {};
}

/**
 * No more of it than a server would be let to send; a pipe is not waited for. What has a name that no file can have is not
 * there either.
 * @throws E_IO, E_NOT_ALLOWED
 */
function readIfThere(url: string): Buffer | undefined {
  const path = fileURLToPath(url);
  try {
    using stack = new DisposableStack();
    const fd = stack.adopt(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), closeSync);
    const stat = fstatSync(fd);
    const problem = stat.isFile() ? stat.size > mostBeside && 'it is too large' : 'it is no file';
    if (problem !== false)
      throw new CellarError('E_IO', { details: { doing: 'reading what is beside it', path, problem } });
    return readFileSync(fd);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENAMETOOLONG')) return undefined;
    throw toCellarError(error, { doing: 'reading what is beside it', path });
  }
}

/** Bytes: sums of some 90,000 files. */
const mostBeside = 8 << 20;

/** A manifest names all that it is made of by digest, so what proves the manifest proves the image. */
async function proofOfManifest(
  { options }: Pulling,
  offer: Offer,
  before: VerifyLevel | undefined,
): Promise<Proof> {
  const manifest = offer.parts.find(({ role }) => role === 'content');
  const digest = manifest?.sha256;
  if (digest === undefined) throw new Error('an OCI offer without the digest of its manifest');
  if (options.sha256 !== undefined && options.sha256 !== digest)
    throw new CellarError('E_CHECKSUM_MISMATCH', {
      details: { source: options.source, found: digest, wanted: options.sha256 },
    });
  const digests = { expected: digest, digestOf: (part: Part) => part.sha256, evidenceOf: () => undefined };
  if (options.verify === 'no') return { level: 'no', ...digests };
  if (options.cosign === undefined) {
    if (options.verify === 'signature')
      throw new CellarError('E_VERIFICATION_UNAVAILABLE', {
        details: { source: options.source, wanted: 'signature' },
        hint: 'name the key that signs this image with --cosign-key',
      });
    if (before === 'signature' && options.verify === undefined)
      throw new CellarError('E_VERIFICATION_DOWNGRADE', {
        details: { source: options.source, before, found: 'checksum' },
      });
    return { level: 'checksum', ...digests };
  }
  const { verifyOfferByCosign } = await import('../../source/verify/cosign-offer.ts');
  const signer = await verifyOfferByCosign(offer, options.cosign);
  return { level: 'signature', signer, ...digests };
}
