/**
 * Images on this machine that name one thing very often. What is read is counted, as bytes that this process asked
 * the kernel for: once through the archive is enough, however long its lists are.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { sha256 } from '../../src/core/digest.ts';
import { ignoreEvents } from '../../src/core/events.ts';
import { createHttpClient } from '../../src/net/http-client.ts';
import { ociArchiveDriver } from '../../src/source/oci-archive.ts';
import type { Offer } from '../../src/source/port.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, file } from '../support/tar-builder.ts';

const times = 300;
const mebibyte = 1 << 20;

test('a packed layer that docker-archive lists three hundred times is hashed once', async () => {
  using scratch = makeScratch('often');
  const layer = archive(file('noise', randomBytes(mebibyte)));
  const config = JSON.stringify({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: Array.from({ length: times }, () => `sha256:${sha256(layer)}`) },
  });
  const list = [{ Config: 'c.json', RepoTags: ['x:1'], Layers: Array.from({ length: times }, () => 'l') }];
  const path = join(scratch.path, 'x.tar');
  writeFileSync(
    path,
    archive(file('c.json', config), file('l', gzipSync(layer)), file('manifest.json', JSON.stringify(list))),
  );
  const { bytes, offers } = await reading(`docker-archive:${path}`);
  assert.equal(offers.length, 1);
  assert.ok(bytes < 10 * mebibyte, `${bytes} bytes were read`);
});

test('a manifest that an index lists three hundred times is read once', async () => {
  using scratch = makeScratch('often');
  const blobs = join(scratch.path, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (bytes: Buffer): { digest: string; size: number } => {
    const digest = sha256(bytes);
    writeFileSync(join(blobs, digest), bytes);
    return { digest: `sha256:${digest}`, size: bytes.length };
  };
  const type = (name: string): string => `application/vnd.oci.image.${name}+json`;
  const config = put(
    Buffer.from('{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'),
  );
  const manifest = put(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: type('manifest.v1'),
        config: { mediaType: type('config.v1'), ...config },
        layers: [],
        annotations: { noise: 'x'.repeat(mebibyte) },
      }),
    ),
  );
  const entry = { mediaType: type('manifest.v1'), ...manifest };
  const index = {
    schemaVersion: 2,
    mediaType: type('index.v1'),
    manifests: Array.from({ length: times }, () => entry),
  };
  writeFileSync(join(scratch.path, 'index.json'), JSON.stringify(index));
  const { bytes, offers } = await reading(`oci:${scratch.path}`);
  assert.equal(offers.length, 1);
  assert.ok(bytes < 20 * mebibyte, `${bytes} bytes were read`);
});

async function reading(
  location: string,
): Promise<{ readonly bytes: number; readonly offers: readonly Offer[] }> {
  await using client = createHttpClient({}, { events: ignoreEvents, environment: {} });
  await using source = ociArchiveDriver.open(location, { mirrors: [], http: {} });
  const before = bytesRead();
  const signal = new AbortController().signal;
  const offers = await source.look({ platforms: ['linux/amd64'], known: [] }, { client, signal });
  return { bytes: bytesRead() - before, offers };
}

function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))![1]);
}
