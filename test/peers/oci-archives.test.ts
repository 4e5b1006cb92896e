/** Archives and layouts as skopeo writes them hold the image that it was given: the same tree, whatever is around it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ImageRecord } from '../../src/core/record.ts';
import { ociTree } from '../../src/ops/oci-tree.ts';
import { ociArchiveDriver } from '../../src/source/oci-archive.ts';
import type { Offer, Part, Surroundings } from '../../src/source/port.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { beginTransaction } from '../../src/store/transaction.ts';
import { readTree } from '../../src/store/trees.ts';
import { buildImage, writeLayout } from '../support/oci-image.ts';
import { holds, summary } from '../support/read-archive.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, directory, file, hardlink } from '../support/tar-builder.ts';

const layers = [
  archive(directory('d/'), file('d/hidden', 'hidden'), file('kept', 'kept')),
  archive(file('d/.wh.hidden'), hardlink('linked', 'kept'), file('late', 'late')),
  archive(directory('d/', { mode: 0o700 })),
];
const wanted = { '/d': 'directory', '/kept': holds('kept'), '/late': holds('late'), '/linked': '= /kept' };

test('what skopeo writes', { skip: needs({ programs: ['skopeo'] }) }, async () => {
  using scratch = makeScratch('archives');
  const at = (name: string): string => join(scratch.path, name);
  const image = buildImage(layers);
  writeLayout(at('layout'), { it: image });
  const from = `skopeo copy -q oci:${quote(at('layout'))}:it`;
  await sh(`${from} docker-archive:${quote(at('docker.tar'))}:example.org/it:1
${from} oci-archive:${quote(at('oci.tar'))}:named
${from} --dest-compress-format zstd --dest-compress oci:${quote(at('zstd'))}:it
gzip -k ${quote(at('docker.tar'))}`);
  using store = openStore(at('store'), { create: true });
  const trees = new Map<string, string>();
  const offers = new Map<string, Offer>();
  for (const [kind, path, name] of [
    ['oci', 'layout', ':it'],
    ['oci', 'zstd', ''],
    ['oci-archive', 'oci.tar', ':named'],
    ['docker-archive', 'docker.tar', ':example.org/it:1'],
    ['docker-archive', 'docker.tar.gz', ''],
  ] as const) {
    await using source = ociArchiveDriver.open(`${kind}:${at(path)}${name}`, { mirrors: [], http: {} });
    const [offer] = await source.look({ platforms: ['linux/amd64'], known: [] }, nobody);
    const tree = await ociTree({ ...nobody, events: () => undefined }, store, await keep(store, offer!));
    assert.deepEqual(summary(readTree(store, tree)), wanted);
    trees.set(path, tree);
    offers.set(path, offer!);
  }
  assert.equal(new Set(trees.values()).size, 1, JSON.stringify([...trees]));
  // What skopeo copies as it is keeps its name; one archive is one image, packed or not.
  assert.equal(offers.get('oci.tar')!.revision, image.manifest.digest);
  assert.equal(offers.get('docker.tar')!.revision, offers.get('docker.tar.gz')!.revision);
});

const nobody = { signal: new AbortController().signal } as Surroundings;

async function keep(store: Store, offer: Offer): Promise<ImageRecord> {
  await using transaction = await beginTransaction(store);
  const objects = offer.parts.map((part) => transaction.adopt.bytes(bytesOf(part)));
  assert.deepEqual(
    objects,
    offer.parts.map(({ sha256 }) => sha256),
  );
  const { record } = await transaction.commit({
    ...{ kind: 'oci', content: offer.parts[0]!.sha256!, objects: [...new Set(objects)].sort() },
    ...{ files: objects.length, bytes: 0, platform: offer.platform, labels: {}, action: 'pull' },
    provenance: { via: 'pull', source: 'test', verified: 'no' },
    references: ['test:latest'],
  });
  return record;
}

function bytesOf({ from }: Part): Buffer {
  if (from.type === 'bytes') return from.bytes;
  assert.ok(from.type === 'file');
  return readFileSync(from.path).subarray(from.offset, from.offset! + from.length!);
}
