import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { sourceKindOf } from './drivers.ts';
import { gzipSync } from 'node:zlib';
import {
  blob,
  buildImage,
  descriptor,
  jsonBlob,
  writeLayout,
  type BuiltImage,
} from '../../test/support/oci-image.ts';
import { makeScratch, type Scratch } from '../../test/support/scratch.ts';
import { archive, file, hardlink, symlink } from '../../test/support/tar-builder.ts';
import { sh, quote } from '../../test/support/run.ts';
import { isCellarError, type CellarError } from '../core/errors.ts';
import { ociArchiveDriver } from './oci-archive.ts';
import type { Offer, Part, Query, Source, Surroundings } from './port.ts';

const layer = archive(file('a', 'first'));
const second = archive(file('b', 'second'));
const image = buildImage([layer, second]);
const arm = buildImage([layer], { architecture: 'arm64' });
const refName = 'org.opencontainers.image.ref.name';
const indexType = 'application/vnd.oci.image.index.v1+json';

test('it is for what is written as other tools write it', () => {
  for (const location of ['docker-archive:x.tar', 'oci-archive:/x:y', 'oci:dir', 'oci:/dir:a/b:c'])
    assert.equal(sourceKindOf(location)?.name, 'oci-archive');
  for (const location of ['oci://host/x', 'oci', 'docker://x', 'oci-layout:x', '/oci:x'])
    assert.notEqual(sourceKindOf(location)?.name, 'oci-archive');
  for (const location of ['oci:', 'oci::name', 'oci:x:', 'oci:x:@', 'oci:x:@-1', 'oci:x:sha256:12', 'oci:\0'])
    assert.throws(
      () => open(location),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
      location,
    );
});

suite('layouts', () => {
  for (const kind of ['oci', 'oci-archive', 'packed oci-archive'] as const)
    test(`${kind}: every byte as it lies there`, async () => {
      using place = await makePlace(kind, { one: image });
      await using source = open(place.location());
      const [offer] = await look(source);
      assert.equal(offer!.revision, image.manifest.digest);
      assert.deepEqual([offer!.platform, offer!.kind], ['linux/amd64', 'oci']);
      assert.deepEqual(rolesOf(offer!), {
        [image.manifest.digest]: 'content',
        [image.config.digest]: 'blob',
        [image.layers[0]!.digest]: 'blob',
        [image.layers[1]!.digest]: 'blob',
      });
      for (const part of offer!.parts) assert.equal(`sha256:${digestOf(part)}`, part.name);
      assert.deepEqual(await look(source, { known: [offer!] }), [
        {
          ...{ platform: offer!.platform, revision: offer!.revision, etag: 'linux/amd64' },
          ...{ kind: 'oci', unchanged: true, parts: [], labels: {} },
        },
      ]);
    });

  test('one of several: by name, by number, by digest', async () => {
    using place = await makePlace('oci-archive', { one: image, 'two:latest': arm });
    const found = async (choice: string, platforms: Query['platforms'] = 'all'): Promise<string> => {
      await using source = open(place.location(choice));
      return (await look(source, { platforms }))[0]!.revision;
    };
    assert.equal(await found(':one'), image.manifest.digest);
    assert.equal(await found(':two:latest'), arm.manifest.digest);
    assert.equal(await found(':@1'), arm.manifest.digest);
    assert.equal(await found(`:${image.manifest.digest}`), image.manifest.digest);
    await refuses(found(''), 'E_SOURCE_INVALID', /it holds one, two:latest; add one of them/);
    await refuses(found(':three'), 'E_SOURCE_GONE', /it has one, two:latest/);
    await refuses(found(':@2'), 'E_SOURCE_GONE', /it has one, two:latest/);
    await refuses(found(':two:latest', ['linux/amd64']), 'E_PLATFORM_UNAVAILABLE', /it has linux\/arm64/);
  });

  test('an index: by platform, and kept beside the image', async () => {
    const index = jsonBlob(indexType, {
      schemaVersion: 2,
      mediaType: indexType,
      manifests: [
        descriptor(image.manifest, { platform: { os: 'linux', architecture: 'amd64' } }),
        descriptor(arm.manifest, { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }),
      ],
    });
    using scratch = makeScratch('oci');
    const path = join(scratch.path, 'layout');
    writeLayout(
      path,
      {},
      {
        blobs: [index, ...blobsOf(image), ...blobsOf(arm)],
        descriptors: [descriptor(index, { annotations: { [refName]: 'both' } })],
      },
    );
    await using source = open(`oci:${path}:both`);
    const offers = await look(source, { platforms: 'all' });
    assert.deepEqual(
      offers.map(({ platform }) => platform),
      ['linux/amd64', 'linux/arm64'],
    );
    assert.deepEqual(new Set(offers.map(({ revision }) => revision)), new Set([index.digest]));
    const attachment = offers[1]!.parts.find(({ role }) => role === 'attachment')!;
    assert.equal(attachment.name, 'index.json');
    assert.equal(`sha256:${digestOf(attachment)}`, index.digest);
    assert.equal(offers[1]!.parts[0]!.name, arm.manifest.digest);
  });

  test('several entries without an index of their own, one for each platform, are one image', async () => {
    using scratch = makeScratch('oci');
    const path = join(scratch.path, 'layout');
    writeLayout(
      path,
      {},
      {
        blobs: [...blobsOf(image), ...blobsOf(arm)],
        descriptors: [
          descriptor(image.manifest, { platform: { os: 'linux', architecture: 'amd64' } }),
          descriptor(arm.manifest, { platform: { os: 'linux', architecture: 'arm64' } }),
        ],
      },
    );
    await using source = open(`oci:${path}`);
    const [offer] = await look(source, { platforms: ['linux/arm64'] });
    assert.equal(offer!.parts[0]!.name, arm.manifest.digest);
  });

  test('signatures and what refers to an image come along and are no images', async () => {
    const payload = blob('application/vnd.dev.cosign.simplesigning.v1+json', Buffer.from('{}'));
    const manifestType = 'application/vnd.oci.image.manifest.v1+json';
    const config = jsonBlob('application/vnd.oci.empty.v1+json', {});
    const base = { schemaVersion: 2, mediaType: manifestType, config: descriptor(config) };
    const signature = jsonBlob(manifestType, { ...base, layers: [descriptor(payload)] });
    const bill = jsonBlob(manifestType, {
      ...base,
      artifactType: 'text/spdx+json',
      layers: [],
      subject: descriptor(image.manifest),
    });
    using scratch = makeScratch('oci');
    const path = join(scratch.path, 'layout');
    const tag = `${image.manifest.digest.replace(':', '-')}.sig`;
    writeLayout(
      path,
      { one: image },
      {
        blobs: [payload, config, signature, bill],
        descriptors: [descriptor(signature, { annotations: { [refName]: tag } }), descriptor(bill)],
      },
    );
    await using source = open(`oci:${path}`);
    const roles = rolesOf((await look(source))[0]!);
    for (const { digest } of [signature, payload, bill]) assert.equal(roles[digest], 'blob', digest);
  });

  test('a manifest that was changed, a blob that is missing', async () => {
    using place = await makePlace('oci', { one: image });
    const path = join(place.path, 'blobs', image.manifest.digest.replace(':', '/'));
    writeFileSync(path, readFileSync(path, 'latin1').replace('"schemaVersion":2', '"schemaVersion":3'));
    await refuses(lookAt(place.location()), 'E_CHECKSUM_MISMATCH', /one|sha256/);
    writeFileSync(path, image.manifest.bytes);
    rmSync(join(place.path, 'blobs', image.layers[0]!.digest.replace(':', '/')));
    await refuses(lookAt(place.location()), 'E_SOURCE_GONE', /it lacks blob sha256:/);
    rmSync(join(place.path, 'index.json'));
    await refuses(lookAt(place.location()), 'E_SOURCE_GONE', /no index\.json/);
    await refuses(lookAt('oci:/no/such/place'), 'E_SOURCE_GONE', /no such directory/);
    await refuses(lookAt('oci-archive:/no/such/file'), 'E_SOURCE_GONE', /no such file/);
  });
});

suite('archives of docker', () => {
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { 'org.opencontainers.image.version': '7' } },
      rootfs: { type: 'layers', diff_ids: [layer, second, layer].map(diffId) },
    }),
  );
  const listed = (more: object = {}): object => ({
    Config: 'c.json',
    RepoTags: ['ex/it:1'],
    Layers: ['x/layer.tar', 'y/layer.tar', 'z/layer.tar'],
    ...more,
  });
  const members = [
    file('c.json', config.toString('latin1')),
    file('x/layer.tar', layer),
    hardlink('y/link', 'z/second.tar'),
    symlink('y/layer.tar', '../z/second.tar'),
    file('z/second.tar', second),
    symlink('z/layer.tar', '/x/layer.tar'),
  ];
  const made = (list: unknown, ...more: Buffer[]): Buffer =>
    archive(...members, ...more, file('manifest.json', JSON.stringify(list)));

  test('a manifest is made, the same however the archive is written', async () => {
    using scratch = makeScratch('docker');
    const offers: Offer[] = [];
    for (const bytes of [
      made([listed()]),
      gzipSync(made([listed()])),
      made([listed({ Layers: ['x/layer.tar', 'y/link', 'x/layer.tar'], RepoTags: null })]),
    ]) {
      const path = write(scratch, bytes);
      await using source = open(`docker-archive:${path}`);
      const [offer] = await look(source);
      for (const part of offer!.parts) assert.equal(`sha256:${digestOf(part)}`, part.name);
      offers.push(offer!);
    }
    assert.equal(new Set(offers.map(({ revision }) => revision)).size, 1);
    assert.equal(offers[0]!.labels['org.opencontainers.image.version'], '7');
    const [content] = offers[0]!.parts;
    assert.equal(
      bytesOf(content!).toString(),
      `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"${diffId(config)}","size":${config.length}},"layers":[${[
        layer,
        second,
        layer,
      ]
        .map(
          (tar) =>
            `{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"${diffId(tar)}","size":${tar.length}}`,
        )
        .join()}]}`,
    );
  });

  test('layers that are packed are named by what lies there', async () => {
    using scratch = makeScratch('docker');
    const packed = gzipSync(second);
    const path = write(
      scratch,
      made([listed({ Layers: ['x/layer.tar', 'packed', 'x/layer.tar'] })], file('packed', packed)),
    );
    await using source = open(`docker-archive:${path}`);
    const [offer] = await look(source);
    assert.ok(offer!.parts.some(({ name }) => name === diffId(packed)));
    assert.match(bytesOf(offer!.parts[0]!).toString(), /layer\.v1\.tar\+gzip/);
  });

  test('one of several: by name, by number', async () => {
    using scratch = makeScratch('docker');
    const other = JSON.stringify({ ...JSON.parse(config.toString()), architecture: 'arm64' });
    const path = write(
      scratch,
      made(
        [
          listed(),
          listed({ Config: 'd.json', RepoTags: ['docker.io/library/other:latest'] }),
          listed({ RepoTags: [] }),
        ],
        file('d.json', other),
      ),
    );
    const platformOf = async (choice: string): Promise<string> => {
      await using source = open(`docker-archive:${path}${choice}`);
      return (await look(source, { platforms: 'all' }))[0]!.platform;
    };
    assert.equal(await platformOf(':ex/it:1'), 'linux/amd64');
    assert.equal(await platformOf(':docker.io/ex/it:1'), 'linux/amd64');
    assert.equal(await platformOf(':other'), 'linux/arm64');
    assert.equal(await platformOf(':@1'), 'linux/arm64');
    assert.equal(await platformOf(`:${diffId(Buffer.from(other))}`), 'linux/arm64');
    await refuses(
      platformOf(''),
      'E_SOURCE_INVALID',
      /it holds ex\/it:1, docker\.io\/library\/other:latest, @2/,
    );
    await refuses(platformOf(':ex/it'), 'E_SOURCE_GONE', /it has ex\/it:1/);
  });

  const broken: readonly (readonly [string, Buffer, RegExp])[] = [
    ['no manifest.json', archive(...members), /no manifest\.json/],
    ['of a docker before 1.10', archive(file('repositories', '{}')), /before 1\.10/],
    ['no images', made([]), /lists no images/],
    ['no JSON', archive(file('manifest.json', '{')), /lists no images/],
    ['a list of something else', made([{ Layers: [1] }]), /is broken/],
    ['a layer too few', made([listed({ Layers: ['x/layer.tar'] })]), /does not fit its layers/],
    ['a layer that is not there', made([listed({ Layers: ['x/layer.tar', 'no', 'no'] })]), /it lacks "no"/],
    [
      'links in a circle',
      made([listed({ Config: 'p' })], symlink('p', 'q'), symlink('q', 'p')),
      /it lacks "p"/,
    ],
    ['a configuration that is none', made([listed({ Config: 'x/layer.tar' })]), /does not fit its layers/],
    ['a name out of the archive', made([listed({ Config: '../../etc/passwd' })]), /it lacks/],
  ];
  for (const [name, bytes, problem] of broken)
    test(name, async () => {
      using scratch = makeScratch('docker');
      await refuses(lookAt(`docker-archive:${write(scratch, bytes)}`), 'E_ARCHIVE_FORMAT', problem);
    });

  test('an archive that is cut', async () => {
    using scratch = makeScratch('docker');
    const whole = made([listed()]);
    for (const bytes of [whole.subarray(0, whole.length >> 1), gzipSync(whole).subarray(0, -20)])
      await refuses(
        lookAt(`docker-archive:${write(scratch, bytes)}`),
        'E_ARCHIVE_TRUNCATED',
        /ends too early/,
      );
  });
});

test('what was unpacked is gone when the source is closed', async () => {
  using place = await makePlace('packed oci-archive', { one: image });
  let path: string;
  {
    await using source = open(place.location());
    const [offer] = await look(source);
    const part = offer!.parts.find(({ from }) => from.type === 'file')!;
    path = (part.from as { path: string }).path;
    assert.equal(digestOf(part), part.sha256);
  }
  assert.throws(() => openSync(path, 'r'));
});

function open(location: string): Source {
  return ociArchiveDriver.open(location, { mirrors: [], http: {} });
}

async function look(source: Source, query: Partial<Query> = {}): Promise<Offer[]> {
  const { signal } = new AbortController();
  const surroundings = { signal } as Surroundings;
  return await source.look({ platforms: ['linux/amd64'], known: [], ...query }, surroundings);
}

async function lookAt(location: string): Promise<Offer[]> {
  await using source = open(location);
  return await look(source);
}

async function refuses(promise: Promise<unknown>, code: CellarError['code'], problem: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isCellarError(error, code), String(error));
    assert.match(error.message, problem);
    return true;
  });
}

interface Place extends Disposable {
  readonly path: string;
  location(choice?: string): string;
}

async function makePlace(
  kind: 'oci' | 'oci-archive' | 'packed oci-archive',
  images: Readonly<Record<string, BuiltImage>>,
): Promise<Place> {
  const scratch = makeScratch('oci');
  const layout = join(scratch.path, 'layout');
  writeLayout(layout, images);
  const tar = `${layout}.tar`;
  if (kind !== 'oci')
    await sh(`tar -C ${quote(layout)} -c${kind === 'oci-archive' ? '' : 'z'}f ${quote(tar)} .`);
  const prefix = kind === 'oci' ? `oci:${layout}` : `oci-archive:${tar}`;
  return {
    path: layout,
    location: (choice = '') => `${prefix}${choice}`,
    [Symbol.dispose]: () => scratch[Symbol.dispose](),
  };
}

function write(scratch: Scratch, bytes: Buffer): string {
  const path = join(scratch.path, `${diffId(bytes).slice(7, 19)}.tar`);
  writeFileSync(path, bytes);
  return path;
}

function blobsOf({ manifest, config, layers }: BuiltImage): BuiltImage['layers'] {
  return [manifest, config, ...layers];
}

function rolesOf({ parts }: Offer): Record<string, string> {
  return Object.fromEntries(parts.map(({ name, role }) => [name, role]));
}

function digestOf(part: Part): string {
  return diffId(bytesOf(part)).slice('sha256:'.length);
}

function diffId(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function bytesOf({ from }: Part): Buffer {
  if (from.type === 'bytes') return from.bytes;
  assert.ok(from.type === 'file');
  const bytes = Buffer.alloc(from.length!);
  const fd = openSync(from.path, 'r');
  readSync(fd, bytes, 0, bytes.length, from.offset!);
  closeSync(fd);
  return bytes;
}
