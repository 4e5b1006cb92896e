/** OCI images in a store become trees: whatever packs their layers, once, and with nothing that no one sees. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { digestPath, type Digest } from '../../src/core/digest.ts';
import { isCellarError } from '../../src/core/errors.ts';
import type { ImageRecord } from '../../src/core/record.ts';
import { ociTree } from '../../src/ops/oci-tree.ts';
import { unpackOci, type OciLayer } from '../../src/ops/ingest/oci-layers.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { beginTransaction } from '../../src/store/transaction.ts';
import { readTree } from '../../src/store/trees.ts';
import { blob, buildImage, descriptor, jsonBlob, sha256, type BuiltImage } from '../support/oci-image.ts';
import { holds, summary } from '../support/read-archive.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, directory, file, hardlink } from '../support/tar-builder.ts';

const big = Buffer.alloc(3 << 20, 'big');
const layers = [
  archive(directory('d/'), file('d/hidden', 'hidden content'), file('kept', 'kept'), file('big', big)),
  archive(file('d/.wh.hidden'), hardlink('linked', 'kept'), file('late', 'late')),
];
const wanted = {
  '/big': holds(big),
  '/d': 'directory',
  '/kept': holds('kept'),
  '/late': holds('late'),
  '/linked': '= /kept',
};
const nobody = { events: () => undefined, signal: new AbortController().signal };

suite('whatever packs its layers', () => {
  for (const packing of ['none', 'gzip', 'zstd'] as const)
    test(packing, async () => {
      using place = makeStore();
      const record = await keep(place.store, buildImage(layers, { packing }));
      const tree = await ociTree(nobody, place.store, record);
      assert.deepEqual(summary(readTree(place.store, tree)), wanted);
      assert.ok(existsSync(objectPath(place.root, sha256('kept'))));
      assert.ok(!existsSync(objectPath(place.root, sha256('hidden content'))), 'hidden content was stored');
    });

  test('zstd frames and what readers skip between them', async () => {
    using place = makeStore();
    const image = buildImage(layers, { packing: 'zstd' });
    const skippable = Buffer.from('502a4d1805000000', 'hex');
    const chunked = image.layers.map(({ mediaType, bytes }) =>
      blob(mediaType, Buffer.concat([bytes, skippable, Buffer.from('table')])),
    );
    const record = await keep(place.store, withLayers(image, chunked));
    assert.deepEqual(summary(readTree(place.store, await ociTree(nobody, place.store, record))), wanted);
  });
});

test('it is unpacked once', async () => {
  using place = makeStore();
  const record = await keep(place.store, buildImage(layers));
  const steps: string[] = [];
  const context = {
    ...nobody,
    events: (event: { type: string }): void => void (event.type === 'step' && steps.push(event.type)),
  };
  const first = await ociTree(context, place.store, record);
  assert.equal(await ociTree(context, place.store, record), first);
  assert.equal(steps.length, 1);
  assert.deepEqual(place.store.rows.get('unpacked', record.content), { tree: first });
});

test('an image without layers is an empty tree', async () => {
  using place = makeStore();
  const tree = await ociTree(nobody, place.store, await keep(place.store, buildImage([])));
  assert.deepEqual(
    readTree(place.store, tree).map(({ path }) => path),
    ['/'],
  );
});

test('layers may lack the blocks that end an archive, but nothing else', async () => {
  using place = makeStore();
  const [lower, upper] = layers as [Buffer, Buffer];
  const open = [lower.subarray(0, -1024), Buffer.alloc(0), upper.subarray(0, -1024)];
  for (const packing of ['none', 'gzip'] as const) {
    for (const last of [open[2]!, upper.subarray(0, -1024 - 508)]) {
      const record = await keep(place.store, buildImage([...open.slice(0, 2), last], { packing }));
      assert.deepEqual(summary(readTree(place.store, await ociTree(nobody, place.store, record))), wanted);
    }
  }
  for (const cut of [1024 + 509, 1024 + 512, 1024 + 612]) {
    const record = await keep(place.store, buildImage([lower, upper.subarray(0, -cut)]));
    await assert.rejects(
      ociTree(nobody, place.store, record),
      (error) => isCellarError(error, 'E_ARCHIVE_TRUNCATED'),
      String(cut),
    );
  }
});

suite('a layer that was damaged in the store', () => {
  for (const packing of ['none', 'gzip'] as const)
    test(packing, async () => {
      using place = makeStore();
      const image = buildImage(layers, { packing });
      const record = await keep(place.store, image);
      const object = hex(image.layers[1]!.digest);
      const path = objectPath(place.root, object);
      const bytes = readFileSync(path);
      const middle = bytes.length >> 1;
      bytes[middle] = bytes[middle]! ^ 1;
      writeFileSync(path, bytes);
      await assert.rejects(
        ociTree(nobody, place.store, record),
        (error) => isCellarError(error, 'E_OBJECT_DAMAGED') && error.details['object'] === object,
      );
      assert.equal(place.store.rows.get('unpacked', record.content), undefined);
    });
});

test('what is no container image has no tree', async () => {
  using place = makeStore();
  const image = buildImage(layers);
  const refusals: readonly BuiltImage[] = [
    withLayers(
      image,
      image.layers.map(({ bytes }) => blob('application/vnd.cncf.helm.chart.content.v1.tar+gzip', bytes)),
    ),
    withLayers(
      image,
      image.layers.map(({ mediaType, bytes }) => blob(`${mediaType}+encrypted`, bytes)),
    ),
    withLayers({ ...image, config: jsonBlob('application/vnd.cncf.helm.config.v1+json', {}) }, image.layers),
  ];
  for (const refused of refusals) {
    const record = await keep(place.store, refused);
    await assert.rejects(ociTree(nobody, place.store, record), (error) =>
      isCellarError(error, 'E_ARCHIVE_FORMAT'),
    );
  }
});

test('bounds hold for all layers together', async () => {
  using place = makeStore();
  const one = archive(file('a', 'content'), file('b'));
  const path = join(place.scratch, 'layer');
  writeFileSync(path, one);
  const repeated = Array.from({ length: 4 }, (): OciLayer => {
    return { path, mediaType: 'application/vnd.oci.image.layer.v1.tar' };
  });
  const unpack = async (limits: { maxSize: number; maxFiles: number }): Promise<number> => {
    await using transaction = await beginTransaction(place.store);
    return (await unpackOci(transaction, { ...nobody, source: 'image', layers: repeated, limits })).length;
  };
  assert.equal(await unpack({ maxSize: 28, maxFiles: 8 }), 3);
  for (const limits of [
    { maxSize: 27, maxFiles: 8 },
    { maxSize: 28, maxFiles: 7 },
  ])
    await assert.rejects(unpack(limits), (error) => isCellarError(error, 'E_ARCHIVE_LIMIT'));
});

test('what engines disagree about is refused, with the layer named and nothing stored', async () => {
  using place = makeStore();
  const image = buildImage([archive(file('a', 'first')), archive(file('b/.wh...'))]);
  const record = await keep(place.store, image);
  await assert.rejects(ociTree(nobody, place.store, record), (error) => {
    assert.ok(isCellarError(error, 'E_ARCHIVE_UNSAFE'), String(error));
    assert.match(error.message, /^layer 2 of 2 of image [0-9a-f]{12} holds an unsafe entry/);
    assert.match(error.hint ?? '', /no tree can be made of it/);
    return true;
  });
  assert.ok(!existsSync(objectPath(place.root, sha256('first'))));
});

interface Place extends Disposable {
  readonly store: Store;
  readonly root: string;
  readonly scratch: string;
}

function makeStore(): Place {
  const scratch = makeScratch('oci-tree');
  const root = join(scratch.path, 'store');
  const store = openStore(root, { create: true });
  return {
    store,
    root,
    scratch: scratch.path,
    [Symbol.dispose]() {
      store[Symbol.dispose]();
      scratch[Symbol.dispose]();
    },
  };
}

async function keep(store: Store, { manifest, config, layers: blobs }: BuiltImage): Promise<ImageRecord> {
  await using transaction = await beginTransaction(store);
  const objects = [manifest, config, ...blobs].map(({ bytes }) => transaction.adopt.bytes(bytes));
  const { record } = await transaction.commit({
    kind: 'oci',
    content: hex(manifest.digest),
    objects: [...new Set(objects)].sort(),
    files: blobs.length,
    bytes: 0,
    platform: 'linux/amd64',
    labels: {},
    provenance: { via: 'pull', source: 'test', verified: 'no' },
    references: ['test:latest'],
    action: 'import',
  });
  return record;
}

function withLayers({ config }: BuiltImage, blobs: BuiltImage['layers']): BuiltImage {
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = jsonBlob(mediaType, {
    schemaVersion: 2,
    mediaType,
    config: descriptor(config),
    layers: blobs.map((layer) => descriptor(layer)),
  });
  return { manifest, config, layers: blobs };
}

function objectPath(root: string, object: Digest): string {
  return join(root, 'objects', digestPath(object));
}

function hex(digest: string): Digest {
  return digest.slice('sha256:'.length);
}
