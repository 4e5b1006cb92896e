import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { after, before, test } from 'node:test';
import { needs } from '../../../test/support/run.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import {
  keyBundle,
  makeSigstoreLab,
  publicPem,
  signingPayload,
  type SigstoreLab,
} from '../../../test/support/sigstore-lab.ts';
import { sha256 } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { parseCosignKey, verifyCosign, type CosignSignature, type CosignTrust } from './cosign.ts';
import { parseTrustRoot } from './sigstore.ts';

const image = sha256('an image');
const index = sha256('an index that lists it');
const other = sha256('another image');

function signed(digest: string, key: KeyObject, hash: string | null = 'sha256'): CosignSignature {
  const payload = signingPayload(digest);
  return { payload, signature: sign(hash, payload, key) };
}

async function refused(
  signatures: readonly CosignSignature[],
  trust: CosignTrust,
  code: string,
): Promise<void> {
  await assert.rejects(verifyCosign({ digests: [image, index], signatures, trust }), (error) => {
    assert.ok(isCellarError(error), String(error));
    assert.equal(error.code, code, error.message);
    assert.equal(error.exitCode, 5);
    return true;
  });
}

const kinds: readonly (readonly [string, () => { privateKey: KeyObject }, (string | null)[]])[] = [
  ['ECDSA P-256', () => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }), ['sha256']],
  ['ECDSA P-384', () => generateKeyPairSync('ec', { namedCurve: 'secp384r1' }), ['sha256', 'sha384']],
  ['ECDSA P-521', () => generateKeyPairSync('ec', { namedCurve: 'secp521r1' }), ['sha256', 'sha512']],
  ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 }), ['sha256']],
  ['Ed25519', () => generateKeyPairSync('ed25519'), [null]],
];
for (const [name, make, hashes] of kinds)
  test(`a key of ${name}`, async () => {
    const { privateKey } = make();
    const trust = { key: parseCosignKey(publicPem(privateKey), 'cosign.pub') };
    for (const hash of hashes) {
      const signatures = [signed(image, privateKey, hash)];
      assert.match(await verifyCosign({ digests: [image], signatures, trust }), /^cosign key [0-9a-f]{64}$/);
    }
    await refused([signed(image, make().privateKey, hashes[0])], trust, 'E_COSIGN_INVALID');
    await refused([signed(other, privateKey, hashes[0])], trust, 'E_COSIGN_SUBJECT');
  });

const { privateKey: mine } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const { privateKey: theirs } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const byKey = { key: parseCosignKey(publicPem(mine), 'cosign.pub') };

test('one good signature among others is enough, of the image or of its index', async () => {
  for (const digest of [image, index]) {
    const signatures = [signed(image, theirs), signed(other, mine), signed(digest, mine)];
    await verifyCosign({ digests: [image, index], signatures, trust: byKey });
  }
});

test('nothing, changed bytes and payloads of another kind are refused', async () => {
  await refused([], byKey, 'E_COSIGN_MISSING');
  const good = signed(image, mine) as { payload: Buffer; signature: Buffer };
  const changed = Buffer.from(good.payload.toString().replace('lab/image', 'lab/imagf'));
  await refused([{ ...good, payload: changed }], byKey, 'E_COSIGN_INVALID');
  await refused([{ ...good, signature: Buffer.alloc(0) }], byKey, 'E_COSIGN_INVALID');
  await refused([{ ...good, signature: good.signature.subarray(1) }], byKey, 'E_COSIGN_INVALID');
  const texts = [
    '',
    '[]',
    'null',
    '{"critical":{"image":{"docker-manifest-digest":7}}}',
    `"sha256:${image}"`,
  ];
  texts.push(
    good.payload.toString().replace('cosign container image signature', 'atomic container signature'),
  );
  for (const text of texts) {
    const payload = Buffer.from(text);
    await refused([{ payload, signature: sign('sha256', payload, mine) }], byKey, 'E_COSIGN_SUBJECT');
  }
});

test('a bundle by a key', async () => {
  const trust = byKey;
  await verifyCosign({ digests: [image], signatures: [{ bundle: keyBundle(image, mine) }], trust });
  await refused([{ bundle: keyBundle(image, theirs) }], trust, 'E_COSIGN_INVALID');
  await refused([{ bundle: keyBundle(other, mine) }], trust, 'E_COSIGN_SUBJECT');
  await refused(
    [{ bundle: keyBundle(image, mine, 'https://slsa.dev/provenance/v1') }],
    trust,
    'E_COSIGN_SUBJECT',
  );
  // What is signed as something else says nothing of images, whatever it looks like.
  const text = keyBundle(image, mine, undefined, 'text/plain');
  await refused([{ bundle: text }], trust, 'E_COSIGN_SUBJECT');
  for (const text of ['', '{}', '[]', '{"mediaType":"x"}'])
    await refused([{ bundle: Buffer.from(text) }], trust, 'E_COSIGN_INVALID');
});

test('a bundle with two readings is judged by what was verified', async () => {
  const good = JSON.parse(keyBundle(other, mine).toString()) as Record<string, unknown>;
  const bad = JSON.parse(keyBundle(image, theirs).toString()) as Record<string, unknown>;
  for (const both of [
    { ...good, dsse_envelope: bad['dsseEnvelope'] },
    { ...bad, dsse_envelope: good['dsseEnvelope'] },
  ])
    await assert.rejects(
      verifyCosign({
        digests: [image],
        signatures: [{ bundle: Buffer.from(JSON.stringify(both)) }],
        trust: byKey,
      }),
      isCellarError,
    );
});

test('what is no public key is refused, a private one by name', () => {
  const pkcs8 = mine.export({ type: 'pkcs8', format: 'pem' }) as string;
  const unusual = publicPem(generateKeyPairSync('x25519').privateKey);
  for (const [text, problem] of [
    [pkcs8, /private key/],
    ['-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\nx\n', /private key/],
    ['', /no public key/],
    ['-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', /cannot be|can be read/],
    [unusual, /x25519/],
  ] as const)
    assert.throws(
      () => parseCosignKey(text, 'key.pem'),
      (error) => isCellarError(error, 'E_COSIGN_TRUST') && problem.test(error.message),
    );
});

const skip = needs({ programs: ['openssl'] });
const who = { identity: 'signer@lab.example', issuer: 'https://accounts.example' };
const scratch = makeScratch('sigstore');
let lab: SigstoreLab;
before(async () => {
  if (skip === false) lab = await makeSigstoreLab(scratch.path);
});
after(() => scratch[Symbol.dispose]());

test('by identity: the certificate, the log and the payload have to agree', { skip }, async () => {
  const root = parseTrustRoot(lab.trustRoot, 'trusted_root.json');
  const trust = { root, ...who };
  const good = await lab.signAs(who, signingPayload(image));
  assert.equal(
    await verifyCosign({ digests: [image], signatures: [good], trust }),
    'signer@lab.example (https://accounts.example)',
  );
  await refused([await lab.signAs(who, signingPayload(other))], trust, 'E_COSIGN_SUBJECT');
  for (const wanted of [
    { identity: 'signer@lab' },
    { identity: '.*' },
    { issuer: 'https://accounts.example/' },
  ])
    await refused([good], { ...trust, ...wanted }, 'E_COSIGN_IDENTITY');
  const second = await lab.signAs(who, signingPayload(image));
  const { logEntry: _, ...unlogged } = good;
  const { certificate: __, ...uncertified } = good;
  for (const bad of [
    unlogged,
    uncertified,
    { ...good, logEntry: second.logEntry },
    { ...good, certificate: second.certificate },
    { ...good, signature: second.signature },
    { ...good, payload: signingPayload(other) },
    { ...good, logEntry: good.logEntry.replace('"logIndex":7', '"logIndex":8') },
    { ...good, logEntry: '{}' },
    { ...good, certificate: 'none' },
  ])
    await refused([bad], trust, 'E_COSIGN_INVALID');
});

test('by identity: another root of trust vouches for nobody of ours', { skip }, async () => {
  using elsewhere = makeScratch('sigstore');
  const stranger = await makeSigstoreLab(elsewhere.path);
  const root = parseTrustRoot(stranger.trustRoot, 'trusted_root.json');
  const good = await lab.signAs(who, signingPayload(image));
  await refused([good], { root, ...who }, 'E_COSIGN_INVALID');
  const mixed = JSON.parse(stranger.trustRoot) as { tlogs: unknown };
  mixed.tlogs = (JSON.parse(lab.trustRoot) as { tlogs: unknown }).tlogs;
  await refused([good], { root: parseTrustRoot(JSON.stringify(mixed), 'x'), ...who }, 'E_COSIGN_INVALID');
  const expired = lab.trustRoot.replaceAll('"start":"2020', '"end":"2021-01-01T00:00:00Z","start":"2020');
  await refused([good], { root: parseTrustRoot(expired, 'x'), ...who }, 'E_COSIGN_INVALID');
});

test('a root of trust that is none is refused', { skip }, () => {
  const texts = ['', '[]', '{}', lab.trustRoot.replace('"start":"2020', '"start":"x2020')];
  texts.push(
    lab.trustRoot.replace(/"rawBytes":"M/g, '"rawBytes":"A'),
    lab.trustRoot.replace('trustedroot', 'bundle'),
  );
  for (const text of texts)
    assert.throws(
      () => parseTrustRoot(text, 'trusted_root.json'),
      (error) => isCellarError(error, 'E_COSIGN_TRUST'),
    );
});
