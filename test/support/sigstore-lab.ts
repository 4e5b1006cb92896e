/**
 * A Sigstore of our own: a certificate authority, a transparency log that signs what it is told, and what cosign
 * writes with them. The certificates are made by openssl.
 */
import { createHash, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalJson } from '../../src/core/canonical-json.ts';
import { quote, sh } from './run.ts';

export const simpleSigning = 'application/vnd.dev.cosign.simplesigning.v1+json';
export const bundleType = 'application/vnd.dev.sigstore.bundle.v0.3+json';

export interface SigstoreLab {
  /** JSON of its `trusted_root.json`. */
  readonly trustRoot: string;
  /** A signature of `payload` by somebody whose certificate says this. */
  signAs(who: { identity: string; issuer: string }, payload: Buffer): Promise<KeylessSignature>;
}

export interface KeylessSignature {
  readonly payload: Buffer;
  readonly signature: Buffer;
  /** PEM. */
  readonly certificate: string;
  /** JSON, as cosign annotates it. */
  readonly logEntry: string;
}

/** What cosign signs for an image. */
export function signingPayload(digest: string): Buffer {
  return Buffer.from(
    JSON.stringify({
      critical: {
        identity: { 'docker-reference': 'lab/image' },
        image: { 'docker-manifest-digest': `sha256:${digest}` },
        type: 'cosign container image signature',
      },
      optional: null,
    }),
  );
}

/** A bundle of an envelope that states that `digest` is signed. */
export function keyBundle(
  digest: string,
  key: KeyObject,
  predicateType = 'https://sigstore.dev/cosign/sign/v1',
  type = 'application/vnd.in-toto+json',
): Buffer {
  const payload = Buffer.from(
    JSON.stringify({
      _type: 'https://in-toto.io/Statement/v1',
      subject: [{ digest: { sha256: digest }, annotations: {} }],
      predicateType,
      predicate: {},
    }),
  );
  const encoded = Buffer.concat([Buffer.from(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload]);
  return Buffer.from(
    JSON.stringify({
      mediaType: bundleType,
      verificationMaterial: { publicKey: { hint: 'lab' }, tlogEntries: [] },
      dsseEnvelope: {
        payload: payload.toString('base64'),
        payloadType: type,
        signatures: [{ sig: sign('sha256', encoded, key).toString('base64') }],
      },
    }),
  );
}

/** It keeps its keys in `directory`. */
export async function makeSigstoreLab(directory: string): Promise<SigstoreLab> {
  await sh(
    `openssl ecparam -name prime256v1 -genkey -noout -out ca.key
     openssl req -x509 -new -key ca.key -days 3650 -subj /O=lab/CN=authority -out ca.pem \
       -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign`,
    { cwd: directory },
  );
  const log = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const logKey = log.publicKey.export({ type: 'spki', format: 'der' });
  const logId = createHash('sha256').update(logKey).digest();
  const validFor = { start: '2020-01-01T00:00:00.000Z' };
  const trustRoot = {
    mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    tlogs: [
      {
        baseUrl: 'https://log.example',
        hashAlgorithm: 'SHA2_256',
        publicKey: { rawBytes: logKey.toString('base64'), keyDetails: 'PKIX_ECDSA_P256_SHA_256', validFor },
        logId: { keyId: logId.toString('base64') },
      },
    ],
    certificateAuthorities: [
      {
        subject: { organization: 'lab', commonName: 'authority' },
        uri: 'https://authority.example',
        certChain: { certificates: [{ rawBytes: derOf(readFileSync(join(directory, 'ca.pem'), 'utf8')) }] },
        validFor,
      },
    ],
    ctlogs: [],
    timestampAuthorities: [],
  };
  return {
    trustRoot: JSON.stringify(trustRoot),
    async signAs(who, payload) {
      const { certificate, key } = await certify(directory, who);
      const signature = sign('sha256', payload, key);
      const integratedTime = Math.floor(Date.now() / 1000);
      const entry = {
        body: Buffer.from(JSON.stringify(logBody({ payload, signature, certificate }))).toString('base64'),
        integratedTime,
        logIndex: 7,
        logID: logId.toString('hex'),
      };
      const promise = sign('sha256', Buffer.from(canonicalJson(entry)), log.privateKey);
      const logEntry = JSON.stringify({ SignedEntryTimestamp: promise.toString('base64'), Payload: entry });
      return { payload, signature, certificate, logEntry };
    },
  };
}

async function certify(
  directory: string,
  { identity, issuer }: { identity: string; issuer: string },
): Promise<{ certificate: string; key: KeyObject }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(join(directory, 'leaf.key'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
  const extensions = [
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=codeSigning',
    `subjectAltName=critical,email:${identity}`,
    `1.3.6.1.4.1.57264.1.8=ASN1:UTF8String:${issuer}`,
  ];
  writeFileSync(join(directory, 'leaf.ext'), `${extensions.join('\n')}\n`);
  const certificate = await sh(
    `openssl req -new -key leaf.key -subj /CN=${quote('lab signer')} -out leaf.csr
     openssl x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 1 -extfile leaf.ext 2>/dev/null`,
    { cwd: directory },
  );
  return { certificate, key: privateKey };
}

function logBody({ payload, signature, certificate }: Omit<KeylessSignature, 'logEntry'>): unknown {
  return {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      data: { hash: { algorithm: 'sha256', value: createHash('sha256').update(payload).digest('hex') } },
      signature: {
        content: signature.toString('base64'),
        publicKey: { content: Buffer.from(certificate).toString('base64') },
      },
    },
  };
}

function derOf(pem: string): string {
  return pem.replace(/-----[^-]+-----|\s/g, '');
}

/** PEM of the public half. */
export function publicPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }) as string;
}
