import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sourceKindOf } from './drivers.ts';
import {
  ociIndex,
  ociManifest,
  putBlob,
  putManifest,
  startFakeRegistry,
  type FakeRegistry,
  type RegistryManners,
} from '../../test/support/fake-registry.ts';
import { sha256 } from '../core/digest.ts';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import type { HttpOptions } from '../net/port.ts';
import { ociDriver } from './oci.ts';
import type { Offer, Part, Query } from './port.ts';

// What is stored on this machine is not asked.
process.env['REGISTRY_AUTH_FILE'] = '/nonexistent/auth.json';

test('it takes the names of registries and no others', () => {
  for (const name of [
    'docker://debian',
    'registry://localhost:5000/a',
    'docker+http://h/a',
    'DOCKER://h.x/a',
  ])
    assert.equal(sourceKindOf(name)?.name, 'oci');
  for (const name of [
    'docker-archive:x',
    'oci:dir',
    'docker:x',
    'https://docker.io/x',
    'docker',
    './docker://x',
  ])
    assert.notEqual(sourceKindOf(name)?.name, 'oci');
});

test('an image: its manifest is the content, configuration and layers are blobs', async () => {
  await using registry = await startFakeRegistry();
  const { digest, bytes } = registry.put('a/b', {
    tag: 'v1',
    layers: ['one', 'two', 'one'],
    labels: { 'org.opencontainers.image.version': '1', other: 'x' },
    manifest: { annotations: { 'org.opencontainers.image.title': 'b' } },
  });
  const [offer, ...more] = await look(registry, 'a/b:v1');
  assert.equal(more.length, 0);
  assert.equal(offer!.kind, 'oci');
  assert.equal(offer!.platform, 'linux/amd64');
  assert.equal(offer!.revision, `sha256:${digest}`);
  assert.deepEqual(offer!.labels, {
    'org.opencontainers.image.version': '1',
    'org.opencontainers.image.title': 'b',
  });
  const [content, config, one, two, ...rest] = offer!.parts;
  assert.deepEqual(rest, []);
  assert.deepEqual([content!.role, content!.sha256, bytesOf(content!)], ['content', digest, bytes]);
  assert.equal(sha256(bytesOf(config!)), config!.sha256);
  assert.deepEqual([one!.sha256, one!.size, two!.sha256], [sha256('one'), 3, sha256('two')]);
  const { urls, client } = httpOf(one!);
  assert.deepEqual(urls, [`http://${registry.host}/v2/a/b/blobs/sha256:${sha256('one')}`]);
  assert.ok(client);
});

test('a second look costs one HEAD; a moved tag is seen by it', async () => {
  await using registry = await startFakeRegistry();
  registry.put('a', { tag: 'v1' });
  const known = await look(registry, 'a:v1');
  registry.requests.length = 0;
  const [again] = await look(registry, 'a:v1', { known });
  assert.equal(again!.unchanged, true);
  assert.deepEqual(again!.parts, []);
  assert.deepEqual(lines(registry), ['HEAD /v2/a/manifests/v1']);
  const { digest } = registry.put('a', { tag: 'v1', layers: ['other'] });
  const [changed] = await look(registry, 'a:v1', { known });
  assert.equal(changed!.revision, `sha256:${digest}`);
  assert.equal(changed!.unchanged, undefined);
  registry.manifests.clear();
  await assert.rejects(look(registry, 'a:v1', { known }), (error) => isCellarError(error, 'E_SOURCE_GONE'));
  await assert.rejects(look(registry, 'a:v1'), (error) => isCellarError(error, 'E_SOURCE_GONE'));
});

for (const manners of [{ silent: true }, { headStatus: 405 }] satisfies RegistryManners[])
  test(`a registry with ${JSON.stringify(manners)} is asked for the manifest itself`, async () => {
    await using registry = await startFakeRegistry(manners);
    registry.put('a', { tag: 'v1' });
    const known = await look(registry, 'a:v1');
    const [again] = await look(registry, 'a:v1', { known });
    assert.equal(again!.unchanged, true);
  });

test('an index: one platform, several, all; unchanged for all of them by headers alone', async () => {
  await using registry = await startFakeRegistry();
  const index = putIndex(registry, 'm', ['linux/amd64', 'linux/arm64/v8', 'linux/arm/v7']);
  const [arm] = await look(registry, 'm:v1', { platforms: ['linux/arm64'] });
  assert.equal(arm!.platform, 'linux/arm64');
  assert.equal(arm!.revision, `sha256:${index.digest}`);
  const attachment = arm!.parts.find(({ role }) => role === 'attachment');
  assert.deepEqual([attachment!.name, bytesOf(attachment!)], ['index.json', index.bytes]);
  assert.equal(arm!.parts.filter(({ role }) => role === 'content').length, 1);
  const all = await look(registry, 'm:v1', { platforms: 'all' });
  assert.deepEqual(
    all.map(({ platform }) => platform),
    ['linux/amd64', 'linux/arm64', 'linux/arm/v7'],
  );
  registry.requests.length = 0;
  const again = await look(registry, 'm:v1', { platforms: 'all', known: all });
  assert.deepEqual(
    again.map(({ unchanged, platform }) => [unchanged, platform]),
    all.map(({ platform }) => [true, platform]),
  );
  assert.deepEqual(lines(registry), ['HEAD /v2/m/manifests/v1']);
  const some = await look(registry, 'm:v1', { platforms: 'all', known: [arm!] });
  assert.deepEqual(
    some.map(({ unchanged }) => unchanged ?? false),
    [false, true, false],
  );
});

test('a platform that is not there is refused, and those that are there are named', async () => {
  await using registry = await startFakeRegistry();
  putIndex(registry, 'm', ['linux/amd64', 'linux/s390x']);
  registry.put('single', { tag: 'latest', platform: 'linux/riscv64' });
  await assert.rejects(look(registry, 'm:v1', { platforms: ['linux/amd64', 'linux/arm64'] }), (error) => {
    assert.ok(isCellarError(error, 'E_PLATFORM_UNAVAILABLE'));
    assert.match(error.message, /nothing for linux\/arm64; it has linux\/amd64, linux\/s390x/);
    return true;
  });
  await assert.rejects(look(registry, 'single'), /it has linux\/riscv64/);
  const [offer] = await look(registry, 'single', { platforms: 'all' });
  assert.equal(offer!.platform, 'linux/riscv64');
});

test('an image by its digest', async () => {
  await using registry = await startFakeRegistry();
  const { digest, bytes } = registry.put('a', { tag: 'v1' });
  const [offer] = await look(registry, `a:ignored@sha256:${digest}`);
  assert.deepEqual(bytesOf(offer!.parts[0]!), bytes);
  const other = '0'.repeat(64);
  registry.manifests.set(`a/sha256:${other}`, { bytes, mediaType: ociManifest });
  for (const silent of [true, false]) {
    registry.manners.silent = silent;
    await assert.rejects(look(registry, `a@sha256:${other}`), (error) =>
      isCellarError(error, 'E_CHECKSUM_MISMATCH'),
    );
  }
});

test('what refers to an image comes along: referrers, cosign tags, marked entries of its index', async () => {
  for (const api of [true, false]) {
    await using registry = await startFakeRegistry({ referrers: api, page: 1 });
    const index = putIndex(registry, 'm', ['linux/amd64'], (image) => {
      const made = registry.put('m', { layers: ['in-toto'] });
      return [
        {
          ...made.descriptor,
          platform: { os: 'unknown', architecture: 'unknown' },
          annotations: { 'vnd.docker.reference.digest': image },
        },
      ];
    });
    const [entry] = (JSON.parse(index.bytes.toString()) as { manifests: { digest: string }[] }).manifests;
    const refer = (subject: string, content: string) =>
      putManifest(registry, 'm', {
        mediaType: ociManifest,
        document: {
          schemaVersion: 2,
          artifactType: 'application/x-sbom',
          config: putBlob(registry, 'm', { content: '{}', mediaType: 'application/vnd.oci.empty.v1+json' }),
          layers: [putBlob(registry, 'm', { content, mediaType: 'text/plain' })],
          subject: { mediaType: ociManifest, digest: subject, size: 1 },
        },
      });
    const toImage = [refer(entry!.digest, 'sbom 1'), refer(entry!.digest, 'sbom 2')];
    const toIndex = [refer(`sha256:${index.digest}`, 'sbom of the index')];
    if (!api)
      for (const [subject, made] of [
        [entry!.digest, toImage],
        [`sha256:${index.digest}`, toIndex],
      ] as const)
        putManifest(registry, 'm', {
          mediaType: ociIndex,
          tag: subject.replace(':', '-'),
          document: {
            schemaVersion: 2,
            mediaType: ociIndex,
            manifests: made.map(({ descriptor }) => descriptor),
          },
        });
    const signature = registry.put('m', {
      tag: `${entry!.digest.replace(':', '-')}.sig`,
      layers: ['signed'],
    });
    const [offer] = await look(registry, 'm:v1');
    const digests = offer!.parts.filter(({ role }) => role === 'blob').map(({ sha256: digest }) => digest);
    assert.equal(new Set(digests).size, digests.length);
    for (const made of [...toImage, ...toIndex, signature]) assert.ok(digests.includes(made.digest));
    for (const content of ['sbom 1', 'sbom 2', 'sbom of the index', 'signed', 'in-toto', '{}'])
      assert.ok(digests.includes(sha256(content)), content);
  }
});

test('a foreign layer is fetched from where its maker says', async () => {
  await using registry = await startFakeRegistry();
  const layer = {
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: `sha256:${sha256('far')}`,
    size: 3,
    urls: ['https://far.example/layer', 'file:///etc/passwd'],
  };
  registry.put('w', {
    tag: 'latest',
    manifest: { layers: [layer, { ...layer, mediaType: 'x', digest: `sha256:${sha256('near')}` }] },
  });
  const [offer] = await look(registry, 'w');
  const urls = offer!.parts.filter(({ from }) => from.type === 'http').map((part) => httpOf(part).urls);
  assert.deepEqual(urls, [
    ['https://far.example/layer', `http://${registry.host}/v2/w/blobs/sha256:${sha256('far')}`],
    [`http://${registry.host}/v2/w/blobs/sha256:${sha256('near')}`],
  ]);
});

const wrong: Record<string, [unknown, string, string]> = {
  'schema 1': [
    { schemaVersion: 1, fsLayers: [] },
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    'E_MANIFEST_UNSUPPORTED',
  ],
  HTML: ['<html></html>', 'text/html', 'E_REGISTRY_INVALID'],
  'an index that is an image too': [
    { schemaVersion: 2, manifests: [], layers: [], config: {} },
    ociIndex,
    'E_REGISTRY_INVALID',
  ],
  'a type that contradicts its document': [
    { schemaVersion: 2, mediaType: ociIndex, manifests: [] },
    ociManifest,
    'E_REGISTRY_INVALID',
  ],
  'a layer without a digest': [
    { schemaVersion: 2, config: { digest: 'sha256:x', size: 1 }, layers: [] },
    ociManifest,
    'E_REGISTRY_INVALID',
  ],
  'another hash': [
    { schemaVersion: 2, config: { digest: `sha512:${'0'.repeat(128)}`, size: 1 }, layers: [] },
    ociManifest,
    'E_REGISTRY_INVALID',
  ],
  'no list of layers': [
    { schemaVersion: 2, config: { digest: `sha256:${'0'.repeat(64)}`, size: 1 } },
    ociManifest,
    'E_REGISTRY_INVALID',
  ],
  'more than 4 MiB': [' '.repeat((4 << 20) + 1), ociManifest, 'E_REGISTRY_INVALID'],
  'an entry that is missing': [
    {
      schemaVersion: 2,
      manifests: [
        {
          mediaType: ociManifest,
          digest: `sha256:${'0'.repeat(64)}`,
          size: 1,
          platform: { os: 'linux', architecture: 'amd64' },
        },
      ],
    },
    ociIndex,
    'E_REGISTRY_INVALID',
  ],
};
for (const [what, [document, mediaType, code]] of Object.entries(wrong))
  test(`refused: ${what}`, async () => {
    await using registry = await startFakeRegistry();
    putManifest(registry, 'a', { document, mediaType, tag: 'v1' });
    await assert.rejects(look(registry, 'a:v1'), (error) => isCellarError(error) && error.code === code);
  });

test('indexes within an index have no more entries in all than one of them may have', async () => {
  await using registry = await startFakeRegistry();
  const entries = Array.from({ length: 900 }, (_, at) => ({
    ...{ mediaType: ociManifest, digest: `sha256:${sha256(String(at))}`, size: 1 },
    platform: { os: 'linux', architecture: 'amd64' },
  }));
  const index = (manifests: unknown[], tag?: string) =>
    putManifest(registry, 'a', {
      document: { schemaVersion: 2, mediaType: ociIndex, manifests },
      ...{ mediaType: ociIndex, tag },
    }).descriptor;
  const nested = [0, 1, 2].map((first) => index(entries.slice(first)));
  index(nested.slice(0, 2), 'v1');
  await assert.rejects(look(registry, 'a:v1'), /does not have it/);
  index(nested, 'v2');
  await assert.rejects(look(registry, 'a:v2'), /too deep or too long/);
});

test('a mirror answers when the registry cannot; with another prefix, and all serve the blobs', async () => {
  await using mirror = await startFakeRegistry();
  mirror.put('cache/hub/a', { tag: 'v1' });
  const mirrors = ['127.0.0.1:1/none', `${mirror.host}/cache/hub`];
  const [offer] = await look({ host: '127.0.0.1:1' }, 'a:v1', {}, { mirrors, http: { retries: 0 } });
  const layer = offer!.parts.find(({ from }) => from.type === 'http')!;
  const path = `blobs/sha256:${layer.sha256}`;
  assert.deepEqual(httpOf(layer).urls, [
    `http://${mirror.host}/v2/cache/hub/a/${path}`,
    `http://127.0.0.1:1/v2/a/${path}`,
    `http://127.0.0.1:1/v2/none/a/${path}`,
  ]);
  await using registry = await startFakeRegistry();
  await assert.rejects(look(registry, 'a:v1', {}, { mirrors }), (error) =>
    isCellarError(error, 'E_SOURCE_GONE'),
  );
});

function putIndex(
  registry: FakeRegistry,
  name: string,
  platforms: readonly string[],
  more: (digest: string) => unknown[] = () => [],
) {
  const images = platforms.map(
    (platform) => registry.put(name, { platform, layers: ['shared', platform] }).descriptor,
  );
  const manifests = [...images, ...more(images[0]!.digest)];
  return putManifest(registry, name, {
    document: { schemaVersion: 2, mediaType: ociIndex, manifests },
    mediaType: ociIndex,
    tag: 'v1',
  });
}

async function look(
  { host }: Pick<FakeRegistry, 'host'>,
  name: string,
  query: Partial<Query> = {},
  { mirrors = [], http = {} }: { mirrors?: readonly string[]; http?: HttpOptions } = {},
): Promise<Offer[]> {
  await using client = createHttpClient(http, { events: ignoreEvents });
  await using source = ociDriver.open(`docker://${host}/${name}`, { mirrors, http });
  const { signal } = new AbortController();
  return await source.look({ platforms: ['linux/amd64'], known: [], ...query }, { client, signal });
}

function bytesOf({ from }: Part): Buffer {
  assert.ok(from.type === 'bytes');
  return from.bytes;
}

function httpOf({ from }: Part) {
  assert.ok(from.type === 'http');
  return from;
}

function lines({ requests }: FakeRegistry): string[] {
  return requests.map(({ line }) => line);
}
