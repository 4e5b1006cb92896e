import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../core/digest.ts';
import { serveImage, type ImageToServe } from './serve-image.ts';

const layer = Buffer.from('0123456789');
const manifest = Buffer.from('{"schemaVersion":2}');
const image: ImageToServe = {
  ...{ manifest, digest: sha256(manifest), mediaType: 'application/vnd.oci.image.manifest.v1+json' },
  blobs: new Map([[sha256(layer), { size: layer.length, read: () => pieces(layer) }]]),
};

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 3) yield bytes.subarray(at, at + 3);
}

function addresses(repository: string) {
  const [host = '', ...path] = repository.split('/');
  const base = `http://${host}/v2/${path.join('/')}`;
  return { host, base, blob: `${base}/blobs/sha256:${sha256(layer)}` };
}

test('the manifest by any tag and by its digest, with its type', async () => {
  await using server = await serveImage(image, 'x');
  const { base } = addresses(server.repository);
  for (const name of ['v1', `sha256:${image.digest}`]) {
    const response = await fetch(`${base}/manifests/${name}`);
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), image.mediaType);
    assert.equal(response.headers.get('docker-content-digest'), `sha256:${image.digest}`);
    assert.deepEqual(Buffer.from(await response.arrayBuffer()), manifest);
  }
  const head = await fetch(`${base}/manifests/v1`, { method: 'HEAD' });
  assert.equal(head.headers.get('content-length'), String(manifest.length));
  assert.equal((await fetch(`${base}/manifests/sha256:${'0'.repeat(64)}`)).status, 404);
});

test('blobs, whole and in ranges, and what was served is counted', async () => {
  await using server = await serveImage(image, 'x');
  const { blob } = addresses(server.repository);
  for (const [range, status, text] of [
    [undefined, 200, '0123456789'],
    ['bytes=2-4', 206, '234'],
    ['bytes=7-', 206, '789'],
    ['bytes=-2', 206, '89'],
    ['bytes=8-100', 206, '89'],
    ['bytes=0-0,2-3', 200, '0123456789'],
    ['lines=1-2', 200, '0123456789'],
  ] as const) {
    const headers: Record<string, string> = range === undefined ? {} : { range };
    const response = await fetch(blob, { headers });
    assert.equal(response.status, status, range ?? 'whole');
    assert.equal(await response.text(), text, range ?? 'whole');
  }
  const beyond = await fetch(blob, { headers: { range: 'bytes=10-' } });
  assert.equal(beyond.status, 416);
  assert.equal(beyond.headers.get('content-range'), 'bytes */10');
  assert.equal(server.served.count, 7);
  assert.equal(server.served.bytes, 30 + 3 + 3 + 2 + 2);
});

test('nothing is found without the name, and nothing can be written', async () => {
  await using server = await serveImage(image, 'x');
  const { host, base, blob } = addresses(server.repository);
  assert.equal((await fetch(`http://${host}/v2/`)).status, 200);
  for (const url of [`http://${host}/v2/x/manifests/v1`, `http://${host}/v2/_catalog`, `${base}/tags/list`])
    assert.equal((await fetch(url)).status, 404, url);
  assert.equal((await fetch(blob.replace(/.$/, (last) => (last === '0' ? '1' : '0')))).status, 404);
  for (const method of ['PUT', 'POST', 'DELETE', 'PATCH'])
    assert.equal((await fetch(blob, { method })).status, 405, method);
});

test('a blob that cannot be read ends the answer short, and the reason is kept', async () => {
  const reason = new Error('damaged');
  const broken = async function* (): AsyncGenerator<Buffer> {
    yield layer.subarray(0, 5);
    throw reason;
  };
  const blobs = new Map([[sha256(layer), { size: layer.length, read: broken }]]);
  await using server = await serveImage({ ...image, blobs }, 'x');
  await assert.rejects(fetch(addresses(server.repository).blob).then((response) => response.text()));
  assert.equal(server.failed.reason, reason);
});

test('a slow client leaves no listeners behind, however much it is sent', async () => {
  const large = Buffer.alloc(128 << 10, 'x');
  const count = 40;
  const read = async function* (): AsyncGenerator<Buffer> {
    for (let at = 0; at < count; at++) yield large;
  };
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warn);
  const blobs = new Map([[sha256(layer), { size: large.length * count, read }]]);
  await using server = await serveImage({ ...image, blobs }, 'x');
  const body = await (await fetch(addresses(server.repository).blob)).arrayBuffer();
  process.off('warning', warn);
  assert.equal(body.byteLength, large.length * count);
  assert.deepEqual(warnings, []);
});
