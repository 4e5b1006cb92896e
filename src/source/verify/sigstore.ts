/**
 * Sigstore's library, as we use it. It is loaded only when a bundle or a certificate has to be judged. What it hands
 * back is read from what it verified, never from the JSON again, so that no two readings can differ.
 */
import { X509Certificate, type KeyObject } from 'node:crypto';
import { bundleFromJSON, type Bundle } from '@sigstore/bundle';
import { toSignedEntity, toTrustMaterial, Verifier, type TrustMaterial } from '@sigstore/verify';
import { z } from 'zod';
import { sha256 } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { isObject, parseQuietly } from '../../remote/oci/json.ts';

/** What was signed, in an envelope. */
export interface Signed {
  readonly payloadType: string;
  readonly payload: Buffer;
}

export interface SignedByIdentity {
  /** Of the certificate: its subject alternative name, and who vouched for that. */
  readonly identity: string | undefined;
  readonly issuer: string | undefined;
  readonly signed: Signed | undefined;
}

/** A signature as cosign writes it beside an image. */
export interface DetachedSignature {
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** PEM. */
  readonly certificate?: string;
  /** JSON of the entry in the transparency log. */
  readonly logEntry?: string;
}

/** @param path for messages @throws E_COSIGN_TRUST */
export function parseTrustRoot(json: string, path: string): TrustMaterial {
  const parsed = trustRoot.safeParse(parseQuietly(json));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw untrusted(path, `${issue!.path.join('.') || 'it'}: ${issue!.message}`);
  }
  try {
    // The library's own reader of this file belongs to a package of generated code; these are the fields it looks at.
    return toTrustMaterial(parsed.data as unknown as Parameters<typeof toTrustMaterial>[0]);
  } catch (error) {
    throw untrusted(path, (error as Error).message);
  }
}

/**
 * Certificates, transparency logs and timestamps by a root of trust: at least one proof of time, and of each kind of
 * log that the root knows. Of what the envelope says the caller judges.
 * @param artifact what is signed, where the bundle does not hold it
 * @throws what the library does
 */
export function verifyBundleByIdentity(
  root: TrustMaterial,
  json: unknown,
  artifact?: Buffer,
): SignedByIdentity {
  const verifier = new Verifier(root, {
    ctlogThreshold: root.ctlogs.length > 0 ? 1 : 0,
    tlogThreshold: root.tlogs.length > 0 ? 1 : 0,
    timestampThreshold: 1,
  });
  const bundle = bundleFromJSON(json);
  const { identity } = verifier.verify(toSignedEntity(bundle, artifact));
  return {
    identity: identity?.subjectAlternativeName,
    issuer: identity?.extensions?.issuer,
    signed: signedIn(bundle),
  };
}

/** The signature alone, by this key alone. @throws what the library does */
export function verifyBundleByKey(json: unknown, key: KeyObject): Signed | undefined {
  const always = { publicKey: key, validFor: () => true };
  const material: TrustMaterial = {
    certificateAuthorities: [],
    timestampAuthorities: [],
    tlogs: [],
    ctlogs: [],
    publicKey: () => always,
  };
  const verifier = new Verifier(material, { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 });
  const bundle = bundleFromJSON(json);
  const entity = toSignedEntity(bundle);
  verifier.verify({ ...entity, key: { $case: 'public-key', hint: '' }, timestamps: [], tlogEntries: [] });
  return signedIn(bundle);
}

/** The same as a bundle. @throws plain errors for a certificate or log entry that is none */
export function bundleOf({ payload, signature, certificate, logEntry }: DetachedSignature): unknown {
  if (certificate === undefined) throw new Error('it has no certificate');
  return {
    mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
    verificationMaterial: {
      x509CertificateChain: {
        certificates: [{ rawBytes: new X509Certificate(certificate).raw.toString('base64') }],
      },
      tlogEntries: logEntry === undefined ? [] : [logEntryOf(logEntry)],
    },
    messageSignature: {
      messageDigest: {
        algorithm: 'SHA2_256',
        digest: Buffer.from(sha256(payload), 'hex').toString('base64'),
      },
      signature: signature.toString('base64'),
    },
  };
}

const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const validFor = z.object({ start: time.optional(), end: time.optional() }).default({});
/** Numbers of the enumeration in sigstore_common.proto; all others are read as SubjectPublicKeyInfo. */
const keyDetails = z
  .string()
  .transform((name) => (/^(?:PKCS1_RSA_PKCS1V5|PKIX_RSA_PKCS1V)/.test(name) ? 1 : 5));
const logs = z
  .array(
    z.object({
      baseUrl: z.string().default(''),
      publicKey: z.object({ rawBytes: bytes, keyDetails, validFor }),
      logId: z.object({ keyId: bytes }),
      checkpointKeyId: z.object({ keyId: bytes }).optional(),
    }),
  )
  .default([]);
const authorities = z
  .array(
    z.object({
      certChain: z.object({ certificates: z.array(z.object({ rawBytes: bytes })).min(1) }),
      validFor,
    }),
  )
  .default([]);
const trustRoot = z.object({
  mediaType: z
    .string()
    .regex(/^application\/vnd\.dev\.sigstore\.trustedroot/, 'is not that of a root of trust'),
  tlogs: logs,
  ctlogs: logs,
  certificateAuthorities: authorities,
  timestampAuthorities: authorities,
});

const entry = z.object({
  SignedEntryTimestamp: z.base64(),
  Payload: z.object({
    body: z.base64(),
    integratedTime: z.int(),
    logIndex: z.int(),
    logID: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});

function logEntryOf(json: string): unknown {
  const parsed = entry.safeParse(parseQuietly(json));
  if (!parsed.success) throw new Error('its entry of the transparency log is not understood');
  const { SignedEntryTimestamp: signedEntryTimestamp, Payload: payload } = parsed.data;
  const body = parseQuietly(Buffer.from(payload.body, 'base64').toString());
  const { kind, apiVersion: version } = isObject(body) ? body : {};
  return {
    logIndex: String(payload.logIndex),
    logId: { keyId: Buffer.from(payload.logID, 'hex').toString('base64') },
    kindVersion: { kind, version },
    integratedTime: String(payload.integratedTime),
    inclusionPromise: { signedEntryTimestamp },
    canonicalizedBody: payload.body,
  };
}

function signedIn({ content }: Bundle): Signed | undefined {
  return content.$case === 'dsseEnvelope' ? content.dsseEnvelope : undefined;
}

function untrusted(path: string, problem: string): CellarError {
  return new CellarError('E_COSIGN_TRUST', { details: { path, problem } });
}
