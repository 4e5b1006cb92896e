import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fetchAll, impatient } from '../../test/support/downloading.ts';
import { serve, type Answer } from '../../test/support/http-server.ts';
import { cutShort, honest, inTurn, noise } from '../../test/support/lying-server.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { sha256 } from '../core/digest.ts';
import { ignoreEvents } from '../core/events.ts';
import { startDownload, type DownloadRequest } from './download.ts';
import { createHttpClient } from './http-client.ts';
import type { HttpClient, HttpRequest, HttpResponse } from './port.ts';
import { segmentSize } from './session.ts';
import { contentRange } from './version.ts';

const content = noise(34 << 20, 7);
const digest = sha256(content);
const file = { content, etag: '"l"' };

interface Read {
  readonly sha256: string;
  /** The part file, if it had all. */
  readonly file: string | undefined;
  /** Bytes on disk before anything was discarded. */
  readonly stored: number;
}

/** Reads so late that the network is always waiting; what came is kept. */
async function readLate(
  urls: readonly string[],
  directory: string,
  options: Partial<DownloadRequest> = {},
): Promise<Read> {
  await using client = createHttpClient({ retries: 1 }, { events: ignoreEvents, environment: {} });
  const watched = watch(client);
  await using download = await startDownload(watched.client, {
    ...{ urls, directory, key: 'k', signal: new AbortController().signal, events: ignoreEvents },
    ...{ timing: impatient, passing: true, ...options },
  });
  let ended = false;
  void download.finished.catch(() => undefined).finally(() => (ended = true));
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of download.chunks()) {
    // Two segments from that of the reader on is as far as one connection may come.
    const end = Math.min(content.length, (Math.floor(bytes / segmentSize) + 2) * segmentSize);
    while (!ended && watched.furthest() < end) await setImmediate();
    chunks.push(Buffer.from(chunk));
    bytes += chunk.length;
  }
  const finished = await download.finished;
  assert.equal(finished.bytes, bytes);
  const read = sha256(Buffer.concat(chunks));
  assert.equal(read, finished.sha256);
  const stored = statSync(join(directory, 'k.part')).blocks * 512;
  return { sha256: read, file: finished.file, stored };
}

/** `furthest`: how far into the file any of the bodies has been read. */
function watch(inner: HttpClient): { readonly client: HttpClient; readonly furthest: () => number } {
  let furthest = 0;
  async function* watched({ headers, body }: HttpResponse): AsyncGenerator<Buffer> {
    let at = contentRange(headers)?.start ?? 0;
    for await (const chunk of body) {
      at += chunk.length;
      furthest = Math.max(furthest, at);
      yield chunk;
    }
  }
  const open = async (url: string, request: HttpRequest): Promise<HttpResponse> => {
    const response = await inner.open(url, request);
    return { ...response, body: watched(response) };
  };
  return { client: { ...inner, open }, furthest: () => furthest };
}

test('what comes more quickly than it is read is not kept, and what is kept is told of rightly', async () => {
  using scratch = makeScratch('passing');
  await using server = await serve(honest(file));
  const late = await readLate([server.url], scratch.path);
  assert.equal(late.sha256, digest);
  assert.equal(late.file, undefined);
  assert.ok(late.stored < 30 << 20, String(late.stored));
  // Whoever goes on from there has the same file.
  assert.match(readFileSync(join(scratch.path, 'k.json'), 'utf8'), /"segments":\[/);
  assert.equal((await fetchAll([server.url], scratch.path)).sha256, digest);
});

test('whoever wants the file has it, however late it is read', async () => {
  using scratch = makeScratch('passing');
  await using server = await serve(honest(file));
  const late = await readLate([server.url], scratch.path, { passing: false });
  assert.deepEqual(readFileSync(late.file!), content);
});

test('nobody can compare later what has no version: it is kept', async () => {
  using scratch = makeScratch('passing');
  await using server = await serve(honest({ content }));
  assert.notEqual((await readLate([server.url], scratch.path)).file, undefined);
});

test('a connection that breaks is gone on with, and so is another process', async () => {
  using scratch = makeScratch('passing');
  await using server = await serve(inTurn(cutShort(file, 24 << 20), honest(file)));
  assert.equal((await readLate([server.url], scratch.path)).sha256, digest);
  assert.ok(server.requests.slice(1).every(({ headers }) => headers.range !== undefined));
  using other = makeScratch('passing');
  await using dying = await serve(inTurn(cutShort(file, 24 << 20), (_, response) => response.destroy()));
  await assert.rejects(readLate([dying.url], other.path), { code: 'E_HTTP_ATTEMPTS' });
  assert.equal((await fetchAll([server.url], other.path)).sha256, digest);
});

test('ranges stop to work: all of it comes again and has to be the same', async () => {
  const changed = Buffer.from(content);
  changed[1 << 20]! ^= 1;
  const later: readonly (readonly [string, Answer, string | undefined])[] = [
    ['the same', honest({ ...file, ranges: false }), undefined],
    ['without a tag', honest({ content, ranges: false }), undefined],
    ['another byte', honest({ content: changed, etag: '"m"' }), 'E_HTTP_BODY'],
    ['shorter', honest({ content: content.subarray(0, 2 << 20), etag: '"m"' }), 'E_HTTP_BODY'],
  ];
  for (const [what, answer, code] of later) {
    using scratch = makeScratch('passing');
    await using server = await serve(inTurn(cutShort(file, 24 << 20), answer));
    const read = readLate([server.url], scratch.path);
    if (code === undefined) assert.equal((await read).sha256, digest, what);
    else await assert.rejects(read, { code, message: /changed while it was read/ }, what);
  }
});

test('a mirror with tags of its own is compared as a whole', async () => {
  using scratch = makeScratch('passing');
  await using first = await serve(inTurn(cutShort(file, 24 << 20), (_, response) => response.destroy()));
  await using mirror = await serve(honest({ content, etag: '"other"' }));
  const read = await readLate([first.url, mirror.url], scratch.path);
  assert.equal(read.sha256, digest);
  assert.equal(read.file, undefined);
});

test('a wrong digest leaves nothing to go on with', async () => {
  using scratch = makeScratch('passing');
  await using server = await serve(honest(file));
  const read = readLate([server.url], scratch.path, { digest: sha256('other') });
  await assert.rejects(read, { code: 'E_CHECKSUM_MISMATCH' });
  assert.throws(() => statSync(join(scratch.path, 'k.json')), { code: 'ENOENT' });
});
