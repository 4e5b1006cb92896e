/**
 * cosign's signatures of OCI images. By a public key, or by the identity in a certificate that a given root of trust
 * vouches for; as "simple signing" payloads and as Sigstore bundles. One good signature of the right image by the
 * right signer is enough, and nothing less is. With a key the transparency log is not asked for.
 *
 * Specifications: SIGNATURE_SPEC.md and BUNDLE_SPEC.md of cosign.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { TrustMaterial } from '@sigstore/verify';
import { sha256, type Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { isObject, parseQuietly } from '../../remote/oci/json.ts';
import type { DetachedSignature, Signed } from './sigstore.ts';

export type CosignSignature = DetachedSignature | SigstoreBundle;

export interface SigstoreBundle {
  /** Its JSON. */
  readonly bundle: Buffer;
}

export type CosignTrust = { readonly key: KeyObject } | TrustedIdentity;

export interface TrustedIdentity {
  /** Made by `parseTrustRoot`. */
  readonly root: TrustMaterial;
  /** The certificate's subject alternative name and its issuer, to be met exactly. */
  readonly identity: string;
  readonly issuer: string;
}

export interface CosignQuestion {
  /** Of the image, first, and of the indexes that list it: what may be signed. */
  readonly digests: readonly Digest[];
  readonly signatures: readonly CosignSignature[];
  readonly trust: CosignTrust;
}

/**
 * @returns who signed it, for people
 * @throws E_COSIGN_MISSING, E_COSIGN_INVALID, E_COSIGN_IDENTITY, E_COSIGN_SUBJECT
 */
export async function verifyCosign({ digests, signatures, trust }: CosignQuestion): Promise<string> {
  const image = `sha256:${digests[0]}`;
  const failures: CellarError[] = [];
  for (const signature of signatures) {
    try {
      const { signer, subjects } = await ('key' in trust
        ? checkByKey(signature, trust.key)
        : checkByIdentity(signature, trust, image));
      if (digests.some((digest) => subjects.includes(`sha256:${digest}`))) return signer;
      const found = subjects.join(', ') || 'no image';
      failures.push(new CellarError('E_COSIGN_SUBJECT', { details: { image, found } }));
    } catch (error) {
      failures.push(isCellarError(error) ? error : invalid(image, error));
    }
  }
  const [first] = failures.toSorted((a, b) => telling.indexOf(a.code) - telling.indexOf(b.code));
  throw first ?? new CellarError('E_COSIGN_MISSING', { details: { image } });
}

/** What {@link verifyCosign} returns for a signature by whom this trusts. */
export function signerBy(trust: CosignTrust | Omit<TrustedIdentity, 'root'>): string {
  if ('key' in trust) return `cosign key ${sha256(trust.key.export({ type: 'spki', format: 'der' }))}`;
  return `${trust.identity} (${trust.issuer})`;
}

/** @param path for messages @throws E_COSIGN_TRUST */
export function parseCosignKey(pem: string, path: string): KeyObject {
  const refuse = (problem: string): CellarError =>
    new CellarError('E_COSIGN_TRUST', { details: { path, problem } });
  if (pem.includes('PRIVATE KEY-----'))
    throw refuse('it is a private key; the public one belongs here (cosign.pub)');
  if (!/-----BEGIN (?:RSA )?PUBLIC KEY-----/.test(pem)) throw refuse('it is no public key in PEM');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch {
    throw refuse('it is no public key that can be read');
  }
  if (hashesFor(key).length === 0)
    throw refuse(`keys of the kind ${key.asymmetricKeyType} are not used by cosign`);
  return key;
}

/** A signature that is good, and what it says. */
interface Checked {
  readonly signer: string;
  /** `sha256:…` of what it says it signs. */
  readonly subjects: readonly string[];
}

/** Of several failures, the one that says most comes first: a signature that is good, and not of this image. */
const telling: readonly string[] = ['E_COSIGN_SUBJECT', 'E_COSIGN_IDENTITY', 'E_COSIGN_INVALID'];
const payloadType = 'cosign container image signature';
const statementType = 'application/vnd.in-toto+json';
/** What `cosign sign` states; other predicates are attestations, which claim something else. */
const signPredicate = 'https://sigstore.dev/cosign/sign/v1';

async function checkByKey(signature: CosignSignature, key: KeyObject): Promise<Checked> {
  const signer = signerBy({ key });
  if ('bundle' in signature) {
    const { verifyBundleByKey } = await import('./sigstore.ts');
    return { signer, subjects: subjectsOfEnvelope(verifyBundleByKey(parseJson(signature.bundle), key)) };
  }
  const { payload, signature: bytes } = signature;
  if (!hashesFor(key).some((hash) => verify(hash, payload, key, bytes)))
    throw new Error('it is not made with this key');
  return { signer, subjects: subjectsOfPayload(payload) };
}

async function checkByIdentity(
  signature: CosignSignature,
  { root, identity, issuer }: TrustedIdentity,
  image: string,
): Promise<Checked> {
  const { bundleOf, verifyBundleByIdentity } = await import('./sigstore.ts');
  const isBundle = 'bundle' in signature;
  const found = isBundle
    ? verifyBundleByIdentity(root, parseJson(signature.bundle))
    : verifyBundleByIdentity(root, bundleOf(signature), signature.payload);
  const wanted = signerBy({ identity, issuer });
  if (found.identity !== identity || found.issuer !== issuer)
    throw new CellarError('E_COSIGN_IDENTITY', {
      details: { image, found: `${found.identity} (${found.issuer})`, wanted },
    });
  return {
    signer: wanted,
    subjects: isBundle ? subjectsOfEnvelope(found.signed) : subjectsOfPayload(signature.payload),
  };
}

/** cosign hashes with SHA-256, or with the hash that goes with a larger curve. Ed25519 takes the message itself. */
function hashesFor(key: KeyObject): (string | null)[] {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return [null];
    case 'ec': {
      const curve = key.asymmetricKeyDetails?.namedCurve;
      return ['sha256', ...(curve === 'secp384r1' ? ['sha384'] : curve === 'secp521r1' ? ['sha512'] : [])];
    }
    case 'rsa':
      return ['sha256'];
    default:
      return [];
  }
}

function subjectsOfPayload(payload: Buffer): string[] {
  const document = parseQuietly(payload.toString());
  const critical = isObject(document) && isObject(document['critical']) ? document['critical'] : {};
  const image = isObject(critical['image']) ? critical['image'] : {};
  const digest = image['docker-manifest-digest'];
  return critical['type'] === payloadType && typeof digest === 'string' ? [digest] : [];
}

function subjectsOfEnvelope(signed: Signed | undefined): string[] {
  if (signed?.payloadType !== statementType) return [];
  const statement = parseQuietly(signed.payload.toString());
  if (!isObject(statement) || statement['predicateType'] !== signPredicate) return [];
  const { subject } = statement;
  return (Array.isArray(subject) ? subject : []).flatMap((item: unknown) => {
    const digest = isObject(item) && isObject(item['digest']) ? item['digest']['sha256'] : undefined;
    return typeof digest === 'string' ? [`sha256:${digest}`] : [];
  });
}

function parseJson(bytes: Buffer): unknown {
  const document = parseQuietly(bytes.toString());
  if (!isObject(document)) throw new Error('a bundle that is no JSON object');
  return document;
}

/** The errors of libraries are plain; what they say is for people all the same. */
function invalid(image: string, error: unknown): CellarError {
  const problem = error instanceof Error ? error.message : String(error);
  return new CellarError('E_COSIGN_INVALID', { details: { image, problem }, cause: error });
}
