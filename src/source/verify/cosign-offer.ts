/** An offered OCI image, judged by the signatures that came with it. Everything needed is in the offer; nothing is fetched. */
import { readFileSync } from 'node:fs';
import { sha256, type Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { parseManifest, type Manifest } from '../../remote/oci/manifest.ts';
import { reasonOf } from '../../sys/errno.ts';
import { isSigstoreBundle, simpleSigningType } from '../oci-companions.ts';
import type { Offer } from '../port.ts';
import { parseCosignKey, signerBy, verifyCosign, type CosignSignature, type CosignTrust } from './cosign.ts';

/** Who has to have signed: a key, or an identity that a root of trust vouches for. */
export interface CosignPolicy {
  /** Path of a public key, PEM. */
  readonly key?: string | undefined;
  /** Path of a `trusted_root.json`; `identity` and `issuer` go with it. */
  readonly trustRoot?: string | undefined;
  /** Subject alternative name of the certificate, exactly. */
  readonly identity?: string | undefined;
  readonly issuer?: string | undefined;
}

/**
 * A signature of the image or of an index that lists it.
 * @returns who signed it, for people
 * @throws E_COSIGN_MISSING, E_COSIGN_INVALID, E_COSIGN_IDENTITY, E_COSIGN_SUBJECT, E_COSIGN_TRUST, E_USAGE
 */
export async function verifyOfferByCosign(offer: Offer, policy: CosignPolicy): Promise<string> {
  const trust = await readTrust(policy);
  const contents = contentsInMemory(offer);
  const manifests = [...contents.values()].flatMap((bytes) => parseIfManifest(bytes) ?? []);
  const content = offer.parts.find(({ role }) => role === 'content')?.from;
  if (content?.type !== 'bytes') throw new Error('an OCI offer whose manifest is not in memory');
  const digests = vouchersOf(sha256(content.bytes), manifests);
  return await verifyCosign({ digests, signatures: signaturesIn(manifests, contents), trust });
}

/** Whom the policy trusts, as records name who signed. @throws E_COSIGN_TRUST, E_USAGE */
export async function trustedCosigner(policy: CosignPolicy): Promise<string> {
  return signerBy(await readTrust(policy));
}

/** One of the two ways, whole: what would go unheeded is refused. @throws E_USAGE */
export function checkCosignPolicy({
  key,
  trustRoot,
  identity,
  issuer,
}: CosignPolicy): { key: string } | { trustRoot: string; identity: string; issuer: string } {
  if (key !== undefined) {
    if (trustRoot !== undefined) throw usage('a key and a root of trust exclude each other');
    if (identity !== undefined || issuer !== undefined)
      throw usage('an identity goes with a root of trust; a key stands for itself');
    return { key };
  }
  if (trustRoot === undefined) throw usage('to verify a cosign signature, give a key or a root of trust');
  if (!identity || !issuer)
    throw usage('a root of trust vouches for anybody: say which identity and issuer is meant');
  return { trustRoot, identity, issuer };
}

const signatureAnnotation = 'dev.cosignproject.cosign/signature';
const certificateAnnotation = 'dev.sigstore.cosign/certificate';
const logEntryAnnotation = 'dev.sigstore.cosign/bundle';

/** By digests that are computed here: what is verified is what will be kept. */
function contentsInMemory({ parts }: Offer): ReadonlyMap<Digest, Buffer> {
  return new Map(
    parts.flatMap(({ from }) => (from.type === 'bytes' ? [[sha256(from.bytes), from.bytes]] : [])),
  );
}

function parseIfManifest(bytes: Buffer): Manifest | undefined {
  try {
    return parseManifest(bytes, { url: 'the offer' });
  } catch (error) {
    if (isCellarError(error)) return undefined;
    throw error;
  }
}

/** The image, and every index from which a chain of digests leads to it. */
function vouchersOf(image: Digest, manifests: readonly Manifest[]): Digest[] {
  const found = [image];
  for (const digest of found)
    for (const index of manifests)
      if (!found.includes(index.digest) && index.manifests.some((entry) => entry.digest === digest))
        found.push(index.digest);
  return found;
}

function signaturesIn(
  manifests: readonly Manifest[],
  contents: ReadonlyMap<Digest, Buffer>,
): CosignSignature[] {
  return manifests
    .flatMap(({ layers }) => layers)
    .flatMap(({ mediaType, digest, annotations }): CosignSignature[] => {
      const bytes = contents.get(digest);
      if (bytes === undefined) return [];
      if (isSigstoreBundle({ mediaType })) return [{ bundle: bytes }];
      const signature = annotations[signatureAnnotation];
      if (mediaType !== simpleSigningType || signature === undefined) return [];
      const { [certificateAnnotation]: certificate, [logEntryAnnotation]: logEntry } = annotations;
      return [
        {
          payload: bytes,
          signature: Buffer.from(signature, 'base64'),
          ...(certificate === undefined || certificate === '' ? {} : { certificate }),
          ...(logEntry === undefined || logEntry === '' ? {} : { logEntry }),
        },
      ];
    });
}

async function readTrust(policy: CosignPolicy): Promise<CosignTrust> {
  const whole = checkCosignPolicy(policy);
  if ('key' in whole) return { key: parseCosignKey(read(whole.key), whole.key) };
  const { trustRoot, identity, issuer } = whole;
  const { parseTrustRoot } = await import('./sigstore.ts');
  return { root: parseTrustRoot(read(trustRoot), trustRoot), identity, issuer };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new CellarError('E_COSIGN_TRUST', {
      details: { path, problem: `it cannot be read: ${reasonOf(error)}` },
      cause: error,
    });
  }
}

function usage(problem: string): CellarError {
  return new CellarError('E_USAGE', { details: { problem } });
}
