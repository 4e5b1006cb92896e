import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fetchAll, impatient } from '../../test/support/downloading.ts';
import { needsRoot } from '../../test/support/filesystem.ts';
import { serve, type Answer, type TestServer } from '../../test/support/http-server.ts';
import {
  askedRange,
  cutShort,
  honest,
  inTurn,
  noise,
  type Offered,
} from '../../test/support/lying-server.ts';
import { quote, sh } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { sha256 } from '../core/digest.ts';
import { ignoreEvents } from '../core/events.ts';
import { startDownload } from './download.ts';
import { createHttpClient } from './http-client.ts';

const content = noise(300_000);
const digest = sha256(content);
const offered: Offered = { content, etag: '"v1"' };
const never = new AbortController().signal;

const ranges = ({ requests }: TestServer): (string | undefined)[] =>
  requests.map(({ headers }) => headers.range);

/** As a killed process leaves it: the first bytes of a file, and what they are of. */
async function interrupted(server: TestServer, directory: string): Promise<void> {
  await assert.rejects(fetchAll([server.url], directory, { keep: true, http: { retries: 0 } }), {
    code: 'E_HTTP_BODY',
  });
  server.requests.length = 0;
}

test('a file, read while it arrives, with its digest', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest(offered));
  const got = await fetchAll([server.url], scratch.path, { size: content.length, digest });
  assert.equal(got.sha256, digest);
  assert.deepEqual(ranges(server), [undefined]);
  for (const bytes of [0, 1]) {
    await using small = await serve(honest({ content: Buffer.alloc(bytes) }));
    assert.equal((await fetchAll([small.url], scratch.path)).file.length, bytes);
  }
});

test('nobody has to read; who reads later, or twice, gets all of it', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest(offered));
  await using client = createHttpClient({}, { events: ignoreEvents, environment: {} });
  await using download = await startDownload(client, {
    ...{ urls: [server.url], directory: scratch.path, key: 'k', signal: never, events: ignoreEvents },
  });
  assert.equal((await download.finished).sha256, digest);
  assert.equal(download.size, content.length);
  assert.equal(download.etag, '"v1"');
  for (let round = 0; round < 2; round++) {
    const chunks: Buffer[] = [];
    for await (const chunk of download.chunks()) chunks.push(Buffer.from(chunk));
    assert.equal(sha256(Buffer.concat(chunks)), digest);
  }
  await download.discard();
  assert.deepEqual(readdirSync(scratch.path), []);
});

test('what an earlier process left is gone on with', async () => {
  for (const validator of [{ etag: '"v1"' }, { lastModified: 'Wed, 01 Jul 2026 00:00:00 GMT' }, { digest }]) {
    using scratch = makeScratch('download');
    const { digest: known, ...validators } = { digest: undefined, ...validator };
    const file = { content, ...validators };
    await using server = await serve(
      inTurn((request, response) => {
        const { etag, lastModified } = { etag: undefined, lastModified: undefined, ...validators };
        if (etag !== undefined) response.setHeader('ETag', etag);
        if (lastModified !== undefined) response.setHeader('Last-Modified', lastModified);
        return cutShort({ content }, 100_000)(request, response, 1);
      }, honest(file)),
    );
    await interrupted(server, scratch.path);
    const got = await fetchAll([server.url], scratch.path, { digest: known });
    assert.equal(got.sha256, digest);
    assert.deepEqual(ranges(server), ['bytes=100000-'], JSON.stringify(validator));
  }
});

test('without a validator or a digest it starts again, and so after the machine went down', async () => {
  for (const etag of [undefined, '"v1"']) {
    using scratch = makeScratch('download');
    await using server = await serve(inTurn(cutShort({ content, etag }, 100_000), honest({ content, etag })));
    await interrupted(server, scratch.path);
    const state = join(scratch.path, 'k.json');
    const text = readFileSync(state, 'utf8');
    writeFileSync(state, text.replace(/"boot":"[^"]*"/, '"boot":"another"'));
    assert.equal((await fetchAll([server.url], scratch.path)).sha256, digest);
    assert.deepEqual(ranges(server), [undefined]);
  }
});

test('a complete part file needs no request with a digest, a question without', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest(offered));
  await fetchAll([server.url], scratch.path, { keep: true });
  assert.equal((await fetchAll([server.url], scratch.path, { keep: true, digest })).sha256, digest);
  assert.equal(server.requests.length, 1);
  assert.equal((await fetchAll([server.url], scratch.path, { keep: true })).sha256, digest);
  assert.equal(server.requests.at(-1)?.headers['if-none-match'], '"v1"');
  // The same length, other bytes: the digest finds out, and it is fetched again.
  const part = join(scratch.path, 'k.part');
  writeFileSync(part, noise(content.length, 2));
  assert.equal((await fetchAll([server.url], scratch.path, { digest, keep: true })).sha256, digest);
  assert.equal(server.requests.length, 3);
  await using changed = await serve(honest({ content: noise(300_000, 3), etag: '"v2"' }));
  assert.equal((await fetchAll([changed.url], scratch.path)).sha256, sha256(noise(300_000, 3)));
});

test('garbage in the directory is not believed', async () => {
  for (const state of ['', '{', '[]', '{"format":1}', '{"format":1,"boot":5,"state":{"segments":{}}}']) {
    using scratch = makeScratch('download');
    writeFileSync(join(scratch.path, 'k.json'), state);
    writeFileSync(join(scratch.path, 'k.part'), 'garbage');
    await using server = await serve(honest(offered));
    assert.equal((await fetchAll([server.url], scratch.path, { digest })).sha256, digest, state);
  }
});

test('a wrong digest, a wrong size, too much: an error, and nothing left to go on with', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest(offered));
  const fails = async (options: Parameters<typeof fetchAll>[2], code: string): Promise<void> => {
    await assert.rejects(fetchAll([server.url], scratch.path, { ...options, keep: true }), { code });
    assert.equal(existsSync(join(scratch.path, 'k.json')), false);
  };
  await fails({ digest: sha256('other') }, 'E_CHECKSUM_MISMATCH');
  await fails({ size: 5 }, 'E_HTTP_BODY');
  await fails({ maxBytes: content.length - 1 }, 'E_HTTP_BODY');
});

test('two at once: one downloads, the other waits and finds it done', async () => {
  using scratch = makeScratch('download');
  await using server = await serve((request, response, count) =>
    setTimeout(() => honest(offered)(request, response, count), 20),
  );
  const both = [1, 2].map(() => fetchAll([server.url], scratch.path, { digest, keep: true }));
  for (const got of await Promise.all(both)) assert.equal(got.sha256, digest);
  assert.equal(server.requests.length, 1);
});

test('a mirror goes on where the first broke off: with the digest, or the same ETag', async () => {
  for (const options of [{ digest }, {}]) {
    using scratch = makeScratch('download');
    await using first = await serve(inTurn(cutShort(offered, 100_000), (_, response) => response.destroy()));
    await using mirror = await serve(
      honest({ content, etag: options.digest === undefined ? '"v1"' : '"other"' }),
    );
    const got = await fetchAll([first.url, mirror.url], scratch.path, {
      ...options,
      http: { retries: 0, credentials: { bearer: 'secret' } },
    });
    assert.equal(got.sha256, digest);
    assert.deepEqual(ranges(mirror), ['bytes=100000-']);
    assert.equal(first.requests[0]?.headers.authorization, 'Bearer secret');
    assert.equal(mirror.requests[0]?.headers.authorization, undefined);
  }
});

test('a mirror that cannot be compared by its tags is compared by its bytes', async () => {
  using scratch = makeScratch('download');
  await using first = await serve(cutShort(offered, 100_000));
  await using mirror = await serve(honest({ content, etag: '"other"' }));
  const got = await fetchAll([first.url, mirror.url], scratch.path, { http: { retries: 0 } });
  assert.equal(got.sha256, digest);
  // It was asked to go on if it has the same tag, and sent all of its own.
  assert.deepEqual(ranges(mirror), ['bytes=100000-']);
});

test('all mirrors fail: every attempt is in the error', async () => {
  using scratch = makeScratch('download');
  await using first = await serve((_, response) => response.writeHead(500).end());
  await using second = await serve((_, response) => response.writeHead(404).end());
  await assert.rejects(
    fetchAll([first.url, second.url], scratch.path, { http: { retries: 1 } }),
    (error: Error & { code?: string; details?: { attempts?: string[] } }) => {
      assert.equal(error.code, 'E_HTTP_ATTEMPTS');
      assert.deepEqual(error.details?.attempts, [
        `${first.url}/ answered 500 Internal Server Error`,
        `${first.url}/ answered 500 Internal Server Error`,
        `${second.url}/ answered 404 Not Found`,
      ]);
      assert.match(
        error.message,
        /: \S+ answered 500 Internal Server Error \(2 times\); \S+ answered 404 Not Found$/,
      );
      return true;
    },
  );
  await assert.rejects(fetchAll([second.url], scratch.path), { code: 'E_HTTP_STATUS' });
});

/** Just enough to be worth several connections. */
const large = noise(34 << 20, 7);
const largeDigest = sha256(large);

test('a large file comes over several connections, in order', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest({ content: large, etag: '"l"' }));
  const got = await fetchAll([server.url], scratch.path);
  assert.equal(got.sha256, largeDigest);
  assert.ok(server.requests.length > 2, String(server.requests.length));
  assert.ok(server.requests.slice(1).every(({ headers }) => headers['if-range'] === '"l"'));
});

test('several connections: broken ones, a killed process, a mirror', async () => {
  using scratch = makeScratch('download');
  const file = { content: large, etag: '"l"' };
  const http = {};
  await using first = await serve((request, response, count) =>
    (count > 4 ? cutShort(file, 0) : count === 3 ? cutShort(file, 3 << 20) : honest(file))(
      request,
      response,
      count,
    ),
  );
  await assert.rejects(fetchAll([first.url], scratch.path, { http, keep: true }), {
    code: 'E_HTTP_ATTEMPTS',
  });
  assert.match(readFileSync(join(scratch.path, 'k.json'), 'utf8'), /"segments":\[/);
  await using mirror = await serve(honest(file));
  const got = await fetchAll([first.url, mirror.url], scratch.path, { http });
  assert.equal(got.sha256, largeDigest);
  const asked = mirror.requests.length;
  assert.ok(asked > 0 && asked < 5, String(asked));
});

test('several connections: the file changes, or ranges stop to work', async () => {
  const file = { content: large, etag: '"l"' };
  for (const later of [
    { ...file, ranges: false },
    { content: noise(large.length, 8), etag: '"m"' },
  ]) {
    using scratch = makeScratch('download');
    await using server = await serve(inTurn(cutShort(file, 12 << 20), honest(later)));
    await using client = createHttpClient({}, { events: ignoreEvents, environment: {} });
    // Nobody has read anything yet, so even a changed file is no problem.
    await using download = await startDownload(client, {
      ...{ urls: [server.url], directory: scratch.path, key: 'k', signal: never, events: ignoreEvents },
      timing: impatient,
    });
    assert.equal((await download.finished).sha256, sha256(later.content));
    await download.discard();
  }
});

test('a slow reader is waited for', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(honest({ content: large }));
  await using client = createHttpClient({}, { events: ignoreEvents, environment: {} });
  await using download = await startDownload(client, {
    ...{ urls: [server.url], directory: scratch.path, key: 'k', signal: never, events: ignoreEvents },
  });
  let bytes = 0;
  let least = Infinity;
  for await (const chunk of download.chunks()) {
    if (bytes === 0) {
      for (let before = -1; before !== least; await new Promise((resolve) => setTimeout(resolve, 100))) {
        before = least;
        least = readFileSync(join(scratch.path, 'k.part')).length;
      }
      assert.ok(least < 24 << 20, String(least));
    }
    bytes += chunk.length;
  }
  assert.equal(bytes, large.length);
  assert.equal((await download.finished).sha256, largeDigest);
});

test('cancelling keeps what has come; the file may be cut by nobody', async () => {
  using scratch = makeScratch('download');
  await using server = await serve(
    inTurn((_, response) => {
      response.writeHead(200, { 'Content-Length': content.length, ETag: '"v1"' });
      response.write(content.subarray(0, 50_000));
    }, honest(offered)),
  );
  await using client = createHttpClient({}, { events: ignoreEvents, environment: {} });
  const controller = new AbortController();
  {
    await using download = await startDownload(client, {
      ...{ urls: [server.url], directory: scratch.path, key: 'k', events: ignoreEvents },
      signal: controller.signal,
    });
    await assert.rejects(
      async () => {
        let bytes = 0;
        for await (const chunk of download.chunks())
          if ((bytes += chunk.length) === 50_000) setTimeout(() => controller.abort(), 20);
      },
      { code: 'E_CANCELLED' },
    );
    await assert.rejects(download.finished, { code: 'E_CANCELLED' });
  }
  truncateSync(join(scratch.path, 'k.part'), 40_000);
  assert.equal((await fetchAll([server.url], scratch.path)).sha256, digest);
  assert.deepEqual(ranges(server), [undefined, 'bytes=40000-']);
});

test(
  'cancelled before a connection found something to do: its place is free again',
  { timeout: 60_000 },
  async () => {
    using scratch = makeScratch('download');
    const file = { content: large, etag: '"l"' };
    const ahead = (16 << 20) + 65_536;
    await using server = await serve(
      // It breaks off where nothing may come before the reader has gone on, and knows of ranges only then.
      inTurn((request, response) => {
        response.writeHead(200, { ETag: file.etag, 'Content-Length': large.length });
        response.write(large.subarray(0, ahead), () => request.socket.destroySoon());
      }, honest(file)),
    );
    await using client = createHttpClient({ concurrency: 2 }, { events: ignoreEvents, environment: {} });
    {
      await using download = await startDownload(client, {
        ...{ urls: [server.url], directory: scratch.path, key: 'k', signal: never, events: ignoreEvents },
        timing: impatient,
      });
      const reader = download.chunks()[Symbol.asyncIterator]();
      for (let taken = 0; taken < 1 << 20;) taken += ((await reader.next()).value as Buffer).length;
      while (server.requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const both = [
      await client.open(server.url, { signal: never }),
      await client.open(server.url, { signal: never }),
    ];
    for (const response of both) await response.discard();
  },
);

test('a full disk: an error that says so, and the room is given back', { skip: needsRoot }, async () => {
  using scratch = makeScratch('download');
  await sh(`mount -t tmpfs -o size=1m tmpfs ${quote(scratch.path)}`);
  try {
    await using server = await serve(honest({ content: noise(3 << 20), etag: '"v1"' }));
    await assert.rejects(fetchAll([server.url], scratch.path, { keep: true }), {
      code: 'E_NO_SPACE',
      exitCode: 13,
    });
    assert.deepEqual(readdirSync(scratch.path), []);
  } finally {
    await sh(`umount ${quote(scratch.path)}`);
  }
});

test('processes killed in the middle: the next goes on, and the last has it all', async () => {
  using scratch = makeScratch('download');
  const bytes = large.length;
  const file = { content: large, etag: '"l"' };
  // Half a megabyte every few milliseconds, so that there is time to be killed in.
  const slow: Answer = (request, response) => {
    const { start, end = bytes } = askedRange(request) ?? { start: 0 };
    response.writeHead(request.headers.range === undefined ? 200 : 206, {
      ...{ ETag: file.etag, 'Accept-Ranges': 'bytes', 'Content-Length': end - start },
      ...(request.headers.range === undefined
        ? {}
        : { 'Content-Range': `bytes ${start}-${end - 1}/${bytes}` }),
    });
    const send = (at: number): void => {
      if (response.destroyed) return;
      const next = Math.min(at + (1 << 19), end);
      response.write(file.content.subarray(at, next));
      if (next === end) response.end();
      else setTimeout(send, 4, next);
    };
    send(start);
  };
  await using server = await serve(slow);
  const program = `
    import { createHttpClient } from '${new URL('http-client.ts', import.meta.url).href}';
    import { startDownload } from '${new URL('download.ts', import.meta.url).href}';
    const events = () => {};
    const client = createHttpClient({}, { events });
    const download = await startDownload(client, {
      urls: ['${server.url}'], directory: process.argv[1], key: 'k', events, signal: new AbortController().signal,
    });
    for await (const _ of download.chunks()) process.stdout.write('.');
    await download.finished;
    process.exit(0);
  `;
  const args = ['--input-type=module-typescript', '-e', program, scratch.path];
  for (let round = 0; round < 3; round++) {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let dots = 0;
    child.stdout.on('data', (data: Buffer) => {
      dots += data.length;
      if (dots > 6) child.kill('SIGKILL');
    });
    await once(child, 'close');
  }
  const before = server.requests.length;
  assert.equal((await fetchAll([server.url], scratch.path)).sha256, sha256(file.content));
  assert.notEqual(server.requests[before]?.headers.range, undefined);
});
