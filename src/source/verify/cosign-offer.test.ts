import assert from 'node:assert/strict';
import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  ociIndex,
  ociManifest,
  putBlob,
  putManifest,
  startFakeRegistry,
  type FakeRegistry,
} from '../../../test/support/fake-registry.ts';
import { needs } from '../../../test/support/run.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import {
  bundleType,
  keyBundle,
  makeSigstoreLab,
  publicPem,
  signingPayload,
  simpleSigning,
} from '../../../test/support/sigstore-lab.ts';
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { ignoreEvents } from '../../core/events.ts';
import { createHttpClient } from '../../net/http-client.ts';
import { ociDriver } from '../oci.ts';
import type { Offer } from '../port.ts';
import { verifyOfferByCosign, type CosignPolicy } from './cosign-offer.ts';

// What is stored on this machine is not asked.
process.env['REGISTRY_AUTH_FILE'] = '/nonexistent/auth.json';

const { privateKey: mine } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const { privateKey: theirs } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

test('an image that was signed, and one that was put in its place', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  await using registry = await startFakeRegistry();
  const { digest } = registry.put('a', { tag: 'v1' });
  await refused(await look(registry), { key }, 'E_COSIGN_MISSING');
  putSignature(registry, digest, byKey(digest, theirs));
  await refused(await look(registry), { key }, 'E_COSIGN_INVALID');
  putSignature(registry, digest, byKey(digest, theirs), byKey(digest, mine));
  assert.match(await verifyOfferByCosign(await look(registry), { key }), /^cosign key /);
  const changed = registry.put('a', { tag: 'v1', layers: ['another'] });
  await refused(await look(registry), { key }, 'E_COSIGN_MISSING');
  putSignature(registry, changed.digest, byKey(digest, mine));
  await refused(await look(registry), { key }, 'E_COSIGN_SUBJECT');
});

test('a signature of the index is one of its images, and of no image it does not list', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  await using registry = await startFakeRegistry();
  const image = registry.put('a', {});
  const inner = putIndex(registry, [image.descriptor]);
  const outer = putIndex(registry, [inner.descriptor], 'v1');
  putSignature(registry, outer.digest, byKey(outer.digest, mine));
  await verifyOfferByCosign(await look(registry), { key });
  const stranger = putIndex(registry, [registry.put('a', { layers: ['x'] }).descriptor], 'v1');
  putSignature(registry, stranger.digest, byKey(outer.digest, mine));
  await refused(await look(registry), { key }, 'E_COSIGN_SUBJECT');
});

test('a signed index that came along and does not list the image vouches for nothing', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  await using registry = await startFakeRegistry();
  const listed = registry.put('a', { layers: ['x'] });
  const index = putIndex(registry, [listed.descriptor], 'v1');
  putSignature(registry, index.digest, byKey(index.digest, mine));
  const good = await look(registry);
  await verifyOfferByCosign(good, { key });
  registry.put('a', { tag: 'v1', layers: ['another'] });
  const other = await look(registry);
  const alongside = good.parts.map((part) => ({ ...part, role: 'blob' as const }));
  await refused({ ...other, parts: [...other.parts, ...alongside] }, { key }, 'E_COSIGN_SUBJECT');
});

test('beside a signature lies what is none', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  await using registry = await startFakeRegistry();
  const { digest } = registry.put('a', { tag: 'v1' });
  const good = byKey(digest, mine);
  putSignature(registry, digest, { payload: Buffer.from('no signature'), annotations: {} }, good);
  await verifyOfferByCosign(await look(registry), { key });
});

test('a bundle that refers to the image', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  for (const [signer, code] of [
    [mine, undefined],
    [theirs, 'E_COSIGN_INVALID'],
  ] as const) {
    await using registry = await startFakeRegistry({ referrers: true });
    const { digest, descriptor } = registry.put('a', { tag: 'v1' });
    putManifest(registry, 'a', {
      mediaType: ociManifest,
      document: {
        schemaVersion: 2,
        artifactType: bundleType,
        config: putBlob(registry, 'a', { content: '{}', mediaType: 'application/vnd.oci.empty.v1+json' }),
        layers: [putBlob(registry, 'a', { content: keyBundle(digest, signer), mediaType: bundleType })],
        subject: descriptor,
      },
    });
    const offer = await look(registry);
    if (code === undefined) await verifyOfferByCosign(offer, { key });
    else await refused(offer, { key }, code);
  }
});

test('by identity', { skip: needs({ programs: ['openssl'] }) }, async () => {
  using scratch = makeScratch('cosign');
  const lab = await makeSigstoreLab(scratch.path);
  const trustRoot = join(scratch.path, 'trusted_root.json');
  writeFileSync(trustRoot, lab.trustRoot);
  await using registry = await startFakeRegistry();
  const { digest } = registry.put('a', { tag: 'v1' });
  const who = { identity: 'signer@lab.example', issuer: 'https://accounts.example' };
  const { payload, signature, certificate, logEntry } = await lab.signAs(who, signingPayload(digest));
  putSignature(registry, digest, {
    payload,
    annotations: {
      ...signatureAnnotation(signature),
      'dev.sigstore.cosign/certificate': certificate,
      'dev.sigstore.cosign/bundle': logEntry,
    },
  });
  const offer = await look(registry);
  assert.equal(
    await verifyOfferByCosign(offer, { trustRoot, ...who }),
    'signer@lab.example (https://accounts.example)',
  );
  await refused(offer, { trustRoot, ...who, identity: 'other@lab.example' }, 'E_COSIGN_IDENTITY');
  await refused(offer, { key: keyFile(scratch.path, mine) }, 'E_COSIGN_INVALID');
});

test('a policy that does not say whom to trust is refused', async () => {
  using scratch = makeScratch('cosign');
  const key = keyFile(scratch.path, mine);
  await using registry = await startFakeRegistry();
  registry.put('a', { tag: 'v1' });
  const offer = await look(registry);
  await refused(offer, {}, 'E_USAGE');
  await refused(offer, { trustRoot: key }, 'E_USAGE');
  await refused(offer, { trustRoot: key, identity: 'x' }, 'E_USAGE');
  await refused(offer, { trustRoot: key, issuer: 'y' }, 'E_USAGE');
  await refused(offer, { key, trustRoot: key }, 'E_USAGE');
  await refused(offer, { key, issuer: 'y' }, 'E_USAGE');
  await refused(offer, { key, trustRoot: key, identity: 'x', issuer: 'y' }, 'E_USAGE');
  await refused(offer, { key, identity: 'x' }, 'E_USAGE');
  await refused(offer, { identity: 'x', issuer: 'y' }, 'E_USAGE');
  await refused(offer, { trustRoot: key, identity: 'x', issuer: 'y' }, 'E_COSIGN_TRUST');
  await refused(offer, { key: join(scratch.path, 'none') }, 'E_COSIGN_TRUST');
});

interface Layer {
  readonly payload: Buffer;
  readonly annotations: Record<string, string>;
}

function byKey(digest: Digest, key: KeyObject): Layer {
  const payload = signingPayload(digest);
  return { payload, annotations: signatureAnnotation(sign('sha256', payload, key)) };
}

function signatureAnnotation(signature: Buffer): Record<string, string> {
  return { 'dev.cosignproject.cosign/signature': signature.toString('base64') };
}

/** As `cosign sign` leaves it: a manifest under a tag made of the digest, a layer for each signature. */
function putSignature(registry: FakeRegistry, digest: Digest, ...layers: readonly Layer[]): void {
  registry.put('a', {
    tag: `sha256-${digest}.sig`,
    manifest: {
      layers: layers.map(({ payload, annotations }) => ({
        ...putBlob(registry, 'a', { content: payload, mediaType: simpleSigning }),
        annotations,
      })),
    },
  });
}

function putIndex(registry: FakeRegistry, manifests: readonly unknown[], tag?: string) {
  const document = { schemaVersion: 2, mediaType: ociIndex, manifests };
  return putManifest(registry, 'a', { document, mediaType: ociIndex, tag });
}

function keyFile(directory: string, key: KeyObject): string {
  const path = join(directory, 'cosign.pub');
  writeFileSync(path, publicPem(key));
  return path;
}

async function look({ host }: FakeRegistry): Promise<Offer> {
  await using client = createHttpClient({}, { events: ignoreEvents });
  await using source = ociDriver.open(`docker://${host}/a:v1`, { mirrors: [], http: {} });
  const { signal } = new AbortController();
  const [offer] = await source.look({ platforms: ['linux/amd64'], known: [] }, { client, signal });
  return offer!;
}

async function refused(offer: Offer, policy: CosignPolicy, code: string): Promise<void> {
  await assert.rejects(verifyOfferByCosign(offer, policy), (error) => {
    assert.ok(isCellarError(error), String(error));
    assert.equal(error.code, code, error.message);
    return true;
  });
}
