/** Lists of lists: each is within its bound, all together are not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ociConfig, ociIndex, ociManifest } from '../../test/support/fake-registry.ts';
import { isCellarError } from '../core/errors.ts';
import { parseManifest, type Descriptor, type Manifest } from '../remote/oci/manifest.ts';
import { offerImages } from './oci-offer.ts';
import type { ImagePlace } from './oci-place.ts';

interface Made {
  readonly place: ImagePlace;
  reads(): number;
  make(mediaType: string, document: object): { manifest: Manifest; entry: object };
}

function makePlace(referrers: readonly Descriptor[] = []): Made {
  const manifests = new Map<string, Manifest>();
  let reads = 0;
  return {
    reads: () => reads,
    make(mediaType, document) {
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...document }));
      const manifest = parseManifest(bytes, { url: 'test' });
      manifests.set(manifest.digest, manifest);
      return { manifest, entry: { mediaType, digest: `sha256:${manifest.digest}`, size: bytes.length } };
    },
    place: {
      location: 'test',
      async manifest(digest) {
        reads++;
        return manifests.get(digest);
      },
      blob: async () => Buffer.from('{}'),
      referrers: async () => referrers,
      tagged: async () => undefined,
      locate: () => ({ type: 'bytes', bytes: Buffer.alloc(0) }),
    },
  };
}

const config = { mediaType: ociConfig, digest: `sha256:${'0'.repeat(64)}`, size: 2 };
const isBounded = (error: unknown): boolean => isCellarError(error, 'E_REGISTRY_INVALID');
const query = { platforms: ['linux/amd64'], known: [] };

test('indexes of indexes', async () => {
  const { place, make, reads } = makePlace();
  let { manifest, entry } = make(ociManifest, { config, layers: [] });
  for (let depth = 0; depth < 3; depth++)
    ({ manifest, entry } = make(ociIndex, { manifests: Array.from({ length: 1000 }, () => entry) }));
  await assert.rejects(offerImages(place, manifest, query), isBounded);
  assert.ok(reads() <= 10_000, `${reads()} reads`);
});

test('referrers that are large', async () => {
  const large = makePlace();
  const padding = 'x'.repeat(3 << 20);
  const { entry } = large.make(ociManifest, { config, layers: [], annotations: { padding } });
  const { manifest } = large.make(ociManifest, { config, layers: [] });
  const list = large.make(ociIndex, { manifests: Array.from({ length: 100 }, () => entry) }).manifest
    .manifests;
  const place = { ...large.place, referrers: async () => list };
  await assert.rejects(offerImages(place, manifest, query), isBounded);
});
