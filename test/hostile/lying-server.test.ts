/**
 * Servers that lie, break off, change their mind or drag their feet. For each it is decided what comes of it: the
 * right bytes, or an error with its code; and never a mixture of two versions, nor a part file after `discard`.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { sha256 } from '../../src/core/digest.ts';
import { fetchAll, type Outcome } from '../support/downloading.ts';
import { serve, type Answer } from '../support/http-server.ts';
import { cutShort, honest, inTurn, noise, type Offered } from '../support/lying-server.ts';
import { soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

const content = noise(200_000);
const other = noise(200_000, 2);
const digest = sha256(content);
const size = content.length;
const file: Offered = { content, etag: '"v1"' };
const changed: Offered = { content: other, etag: '"v2"' };

type Options = NonNullable<Parameters<typeof fetchAll>[2]>;

async function fetchFrom(answer: Answer, options: Options = {}): Promise<Outcome> {
  using scratch = makeScratch('lying');
  await using server = await serve(answer);
  return await fetchAll([`${server.url}/f`], scratch.path, options);
}

async function refused(answer: Answer, code: string, options: Options = {}): Promise<Error> {
  let error: unknown;
  await assert.rejects(fetchFrom(answer, options), (thrown: Error & { code?: string }) => {
    error = thrown;
    assert.equal(thrown.code, code, thrown.message);
    return true;
  });
  return error as Error;
}

/** The first request is broken off after 50,000 bytes; what is said to the second. */
const resumed = (answer: Answer): Answer => inTurn(cutShort(file, 50_000), answer);

test('another length than the caller knows: refused before a byte is read', async () => {
  for (const wrong of [size - 1, size + 1]) await refused(honest(file), 'E_HTTP_BODY', { size: wrong });
});

test('less than it promised, every time', async () => {
  const error = await refused(cutShort(file, 0), 'E_HTTP_ATTEMPTS', { http: { retries: 2 } });
  assert.match(error.message, /failed 3 times.*it ended after 0 of 200000 bytes/);
});

test('no length, and more or less than the caller knows', async () => {
  const chunked =
    (bytes: Buffer): Answer =>
    (_, response) =>
      response.writeHead(200).write(bytes, () => response.end());
  assert.equal((await fetchFrom(chunked(content), { size })).sha256, digest);
  await refused(chunked(Buffer.concat([content, Buffer.from('x')])), 'E_HTTP_BODY', { size });
  await refused(chunked(content.subarray(1)), 'E_HTTP_BODY', { size });
  await refused(chunked(content), 'E_HTTP_BODY', { maxBytes: size - 1 });
  await refused(chunked(other), 'E_CHECKSUM_MISMATCH', { digest });
});

test('broken off at every tenth: gone on with, whether it knows ranges or not, whether politely or not', async () => {
  for (let tenth = 0; tenth < 10; tenth++)
    for (const ranges of [true, false])
      for (const reset of [true, false]) {
        const cut = cutShort(file, (size / 10) * tenth, { reset });
        const got = await fetchFrom(inTurn(cut, honest({ ...file, ranges })));
        assert.equal(got.sha256, digest, `${tenth} ${ranges} ${reset}`);
      }
});

test('changed while it was read: an error, for what was handed out cannot be taken back', async () => {
  const error = await refused(resumed(honest(changed)), 'E_HTTP_BODY');
  assert.match(error.message, /changed while it was read/);
  assert.ok((error as Error & { retryable?: boolean }).retryable);
});

test('changed after what was read: the new version', async () => {
  const longer = Buffer.concat([content.subarray(0, 60_000), noise(200_000, 3)]);
  const got = await fetchFrom(resumed(honest({ content: longer, etag: '"v3"' })));
  assert.equal(got.sha256, sha256(longer));
  const shorter = content.subarray(0, 55_000);
  assert.equal(
    (await fetchFrom(resumed(honest({ content: shorter, etag: '"v4"' })))).sha256,
    sha256(shorter),
  );
  await refused(resumed(honest({ content: content.subarray(0, 10), etag: '"v5"' })), 'E_HTTP_BODY');
});

test('changed, and If-Range passed over: told by the ETag', async () => {
  const ignoring: Answer = (request, response, count) => {
    delete request.headers['if-range'];
    return honest(changed)(request, response, count);
  };
  await refused(resumed(ignoring), 'E_HTTP_BODY');
});

test('changed under the same ETag: the digest tells, and the next time is clean', async () => {
  using scratch = makeScratch('lying');
  const liar = honest({ content: other, etag: '"v1"' });
  await using server = await serve(inTurn(cutShort(file, 50_000), liar, honest(file)));
  const options = { digest, keep: true };
  await assert.rejects(fetchAll([server.url], scratch.path, options), { code: 'E_CHECKSUM_MISMATCH' });
  assert.equal(existsSync(join(scratch.path, 'k.part')), false);
  assert.equal((await fetchAll([server.url], scratch.path, { digest })).sha256, digest);
});

test('200 for everything', async () => {
  const always: Answer = (_, response) => response.writeHead(200, { ETag: '"v1"' }).end(content);
  assert.equal((await fetchFrom(resumed(always))).sha256, digest);
  await refused(
    resumed((_, response) => response.end(other)),
    'E_HTTP_BODY',
  );
});

test('a page of HTML instead of the file', async () => {
  const page: Answer = (_, response) =>
    response.writeHead(200, { 'Content-Type': 'text/html' }).end('<html>please log in</html>');
  const error = await refused(page, 'E_HTTP_BODY', { size });
  assert.match(error.message, /a page of HTML/);
  await refused(page, 'E_CHECKSUM_MISMATCH', { digest });
  await refused(resumed(page), 'E_HTTP_BODY');
  await refused((_, response) => response.writeHead(404).end('<html>'), 'E_HTTP_STATUS');
});

test('redirects to where nobody should go', async () => {
  for (const to of ['file:///etc/passwd', 'ftp://127.0.0.1/', 'data:,x', 'javascript:x', 'http://[', '/f'])
    await refused((_, response) => response.writeHead(302, { Location: to }).end(), 'E_HTTP_REDIRECT');
  await refused(
    (request, response) => response.writeHead(302, { Location: `${request.url}x` }).end(),
    'E_HTTP_REDIRECT',
  );
});

test('silence, and a drip that never ends', async () => {
  const http = { timeout: 50, retries: 1 };
  await refused(() => undefined, 'E_HTTP_ATTEMPTS', { http });
  const stops: Answer = (_, response) =>
    response.writeHead(200, { 'Content-Length': size }).write(content.subarray(0, 5000));
  await refused(stops, 'E_HTTP_ATTEMPTS', { http });
  const drips: Answer = (_, response) => {
    response.writeHead(200, { 'Content-Length': size });
    const timer = setInterval(() => response.write('x'), 15);
    response.on('close', () => clearInterval(timer));
  };
  await refused(drips, 'E_HTTP_ATTEMPTS', { http });
  await refused(drips, 'E_HTTP_TIMEOUT', { http: { ...http, retries: 0 } });
});

test('bodies and transfers that are encoded', async () => {
  const headers: Record<string, string>[] = [
    { 'Content-Encoding': 'gzip' },
    { 'Content-Encoding': 'identity, br' },
    { 'Transfer-Encoding': 'gzip, chunked' },
  ];
  for (const encoded of headers)
    await refused((_, response) => response.writeHead(200, encoded).end('x'), 'E_HTTP_BODY');
});

test('416', async () => {
  const unsatisfiable: Answer = (_, response) => response.writeHead(416).end();
  const got = await fetchFrom(inTurn(cutShort(file, 50_000), unsatisfiable, honest(file)));
  assert.equal(got.sha256, digest);
  await refused(unsatisfiable, 'E_HTTP_STATUS');
});

test('another range than was asked for', async () => {
  const range =
    (text: string | undefined, body = content.subarray(50_000)): Answer =>
    (_, response) => {
      if (text !== undefined) response.setHeader('Content-Range', text);
      response.writeHead(206, { ETag: '"v1"', 'Content-Length': body.length }).end(body);
    };
  assert.equal((await fetchFrom(resumed(range(`bytes 50000-${size - 1}/${size}`)))).sha256, digest);
  for (const wrong of [
    range(undefined),
    range('bytes 0-149999/200000'),
    range('bytes 50001-199999/200000'),
    range('bytes 50000-199999/100'),
    range('bytes 50000-199998/200000'),
    range('rows 50000-199999/200000'),
    range(`bytes 50000-${size - 1}/${size}`, content),
  ])
    await refused(resumed(wrong), 'E_HTTP_BODY');
  await refused(range(`bytes 0-${size - 1}/${size}`, content), 'E_HTTP_BODY');
  await refused(resumed(range(`bytes 50000-${size}/${size + 1}`)), 'E_HTTP_BODY', { size });
});

test('503 with Retry-After, then good', async () => {
  const busy: Answer = (_, response) => response.writeHead(503, { 'Retry-After': '5' }).end();
  const got = await fetchFrom(inTurn(cutShort(file, 50_000), busy, honest(file)));
  assert.equal(got.sha256, digest);
  const attempts = got.events.filter((event) => event.type === 'attempt');
  assert.deepEqual(
    attempts.map(({ problem, waitMs }) => [problem, waitMs]),
    [
      ['sent a wrong body: it ended after 50000 of 200000 bytes', 250],
      ['answered 503 Service Unavailable', 5000],
    ],
  );
});

test('what is no HTTP', async () => {
  for (const said of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}\r\n\r\n`,
  ]) {
    using scratch = makeScratch('lying');
    await using server = await raw((socket) => socket.end(said));
    const fetched = fetchAll([server.url], scratch.path, { http: { retries: 0 } });
    await assert.rejects(fetched, { code: 'E_HTTP_UNREACHABLE' }, said.slice(0, 80));
  }
});

test('more than the Content-Length: what follows is not taken for the body', async () => {
  using scratch = makeScratch('lying');
  await using server = await raw((socket) =>
    socket.end(`HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more`),
  );
  const got = await fetchAll([server.url], scratch.path).catch(
    (error: Error & { code?: string }) => error.code,
  );
  assert.ok(typeof got === 'string' ? got.startsWith('E_HTTP_') : got?.read.toString() === 'hello');
});

test('the first server fails in the middle: a mirror goes on, or brings it all', async () => {
  for (const mirror of [
    honest(file),
    honest({ content, etag: '"other"' }),
    honest({ content, ranges: false }),
  ]) {
    using scratch = makeScratch('lying');
    await using first = await serve(inTurn(cutShort(file, 50_000, { reset: true }), (_, r) => r.destroy()));
    await using second = await serve(mirror);
    const http = { retries: 1 };
    assert.equal((await fetchAll([first.url, second.url], scratch.path, { http })).sha256, digest);
  }
});

test('any sequence of answers: one version as a whole, or an error', async () => {
  const versions = [
    file,
    { content: Buffer.concat([content.subarray(0, 90_000), other]), etag: '"v2"' },
    changed,
  ];
  const version = fc.nat({ max: versions.length - 1 }).map((index) => versions[index]!);
  const answer: fc.Arbitrary<Answer> = fc.oneof(
    version.map((each) => honest(each)),
    version.map((each) => honest({ ...each, ranges: false })),
    version.map((each) => honest({ content: each.content })),
    fc
      .tuple(version, fc.nat({ max: size }), fc.boolean())
      .map(([each, bytes, reset]) => cutShort(each, bytes, { reset })),
    fc
      .tuple(version, fc.nat({ max: size }))
      .map(([each, bytes]) => cutShort({ content: each.content }, bytes)),
    fc.constantFrom(416, 503, 500, 404).map(
      (status): Answer =>
        (_, response) =>
          response.writeHead(status).end(),
    ),
  );
  const digests = new Set(versions.map((each) => sha256(each.content)));
  const outcomes = { whole: 0, errors: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.array(answer, { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      async (answers, known) => {
        using scratch = makeScratch('lying');
        await using server = await serve(inTurn(...answers));
        await using mirror = await serve(inTurn(...answers.toReversed()));
        const options: Options = {
          keep: true,
          ...(known ? { digest } : {}),
          http: { retries: 2 },
        };
        // Three commands one after the other, each going on with what the one before left.
        for (let run = 0; run < 3; run++)
          try {
            const got = await fetchAll([server.url, mirror.url], scratch.path, options);
            assert.ok(known ? got.sha256 === digest : digests.has(got.sha256));
            outcomes.whole++;
          } catch (error) {
            assert.match(
              String((error as { code?: unknown }).code),
              /^E_(HTTP_|CHECKSUM_MISMATCH)/,
              String(error),
            );
            outcomes.errors++;
          }
      },
    ),
    { numRuns: soak ? 2000 : 60 },
  );
  assert.ok(outcomes.whole > 10 && outcomes.errors > 10, JSON.stringify(outcomes));
});

/** A server that says `answer` to whatever comes. */
async function raw(answer: (socket: Socket) => void): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => answer(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
