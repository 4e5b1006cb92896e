import assert from 'node:assert/strict';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { serve } from '../../test/support/http-server.ts';
import type { CellarEvent } from '../core/events.ts';
import { createHttpClient } from './http-client.ts';
import type { HttpOptions } from './port.ts';
import { systemTiming, type Timing } from './timing.ts';

const never = new AbortController().signal;

/** Waits that take no time, and what they would have been. */
function quick(): { timing: Timing; slept: number[] } {
  const slept: number[] = [];
  const timing: Timing = {
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
    random: () => 0.5,
    now: systemTiming.now,
  };
  return { timing, slept };
}

function client(options: HttpOptions = {}, environment: Record<string, string> = {}) {
  const events: CellarEvent[] = [];
  const { timing, slept } = quick();
  const made = createHttpClient(options, {
    events: (event) => events.push(event),
    timing,
    environment,
  });
  return { made, events, slept, [Symbol.asyncDispose]: () => made[Symbol.asyncDispose]() };
}

test('a small body, with what the server said of it; nothing where there is nothing', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/gone') response.writeHead(410).end('gone');
    else response.writeHead(200, { ETag: '"1"' }).end('hello');
  });
  await using http = client();
  const found = await http.made.small(`${server.url}/a#part`, { signal: never });
  assert.equal(found?.bytes.toString(), 'hello');
  assert.equal(found?.url, `${server.url}/a`);
  assert.equal(found?.headers['etag'], '"1"');
  assert.equal(await http.made.small(`${server.url}/gone`, { signal: never }), undefined);
  assert.equal(server.requests[0]?.headers['accept-encoding'], 'identity');
  await assert.rejects(http.made.small(`${server.url}/a`, { signal: never, limit: 4 }), {
    code: 'E_HTTP_BODY',
  });
});

test('what may pass is tried again, after the wait the server asks for; the rest is final', async () => {
  await using server = await serve((request, response, count) => {
    if (request.url === '/busy' && count === 1) response.writeHead(503, { 'Retry-After': '7' }).end();
    else if (request.url === '/busy' && count === 2) request.socket.destroy();
    else if (request.url === '/busy') response.end('there');
    else response.writeHead(Number(request.url?.slice(1))).end();
  });
  await using http = client({ retries: 2 });
  const found = await http.made.small(`${server.url}/busy`, { signal: never });
  assert.equal(found?.bytes.toString(), 'there');
  assert.deepEqual(http.slept, [7000, 500]);
  const url = `${server.url}/busy`;
  assert.deepEqual(http.events, [
    { type: 'attempt', url, attempt: 1, of: 3, problem: 'answered 503 Service Unavailable', waitMs: 7000 },
    {
      ...{ type: 'attempt', url, attempt: 2, of: 3 },
      ...{ problem: 'cannot be reached: the connection was closed', waitMs: 500 },
    },
  ]);
  await assert.rejects(http.made.open(`${server.url}/500`, { signal: never }), {
    code: 'E_HTTP_ATTEMPTS',
    message: `${server.url}/500 failed 3 times: answered 500 Internal Server Error (3 times)`,
    hint: /--mirror/,
  });
  const before = server.requests.length;
  await assert.rejects(http.made.open(`${server.url}/400`, { signal: never }), { code: 'E_HTTP_STATUS' });
  await assert.rejects(http.made.open(`${server.url}/401`, { signal: never }), {
    code: 'E_AUTHENTICATION',
    exitCode: 4,
  });
  assert.equal(server.requests.length, before + 2);
});

test('what may have had an effect is not sent twice', async () => {
  await using server = await serve((request, response, count) => {
    if (request.url === '/busy' && count === 1) response.writeHead(503).end();
    else if (request.url === '/busy') response.end('ok');
    else request.socket.destroy();
  });
  await using http = client();
  const answer = await http.made.open(`${server.url}/busy`, { method: 'POST', body: 'x', signal: never });
  assert.equal(await text(answer.body), 'ok');
  await assert.rejects(http.made.open(server.url, { method: 'POST', body: 'x', signal: never }), {
    code: 'E_HTTP_UNREACHABLE',
  });
  assert.equal(server.requests.length, 3);
});

test('different reasons are given in the order of their first appearance, equal ones once', async () => {
  await using server = await serve((_, response, count) => {
    if (count === 2) response.destroy();
    else response.writeHead(count === 4 ? 502 : 503).end();
  });
  await using http = client({ retries: 4 });
  await assert.rejects(http.made.open(`${server.url}/x`, { signal: never }), {
    message: `${server.url}/x failed 5 times: ${[
      'answered 503 Service Unavailable (3 times)',
      'cannot be reached: the connection was closed',
      'answered 502 Bad Gateway',
    ].join('; ')}`,
  });
});

test('nobody there: every attempt is told', async () => {
  const { url } = await (async () => {
    await using server = await serve(() => undefined);
    return server;
  })();
  await using http = client({ retries: 1 });
  await assert.rejects(http.made.open(url, { signal: never }), {
    code: 'E_HTTP_ATTEMPTS',
    details: {
      url: `${url}/`,
      count: 2,
      reasons: ['cannot be reached: the connection is refused (2 times)'],
      attempts: Array(2).fill('cannot be reached: the connection is refused'),
    },
  });
  assert.equal(http.events.length, 2);
  await using once = client({ retries: 0 });
  await assert.rejects(once.made.open(url, { signal: never }), { code: 'E_HTTP_UNREACHABLE' });
});

test('a server that says nothing, stops in the middle or drips for ever', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/silent') return;
    response.writeHead(200, { 'Content-Length': '5000' });
    response.write('x');
    if (request.url !== '/drip') return;
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  });
  await using http = client({ timeout: 60, retries: 0 });
  await assert.rejects(http.made.open(`${server.url}/silent`, { signal: never }), { code: 'E_HTTP_TIMEOUT' });
  await assert.rejects(http.made.small(`${server.url}/stop`, { signal: never }), {
    code: 'E_HTTP_TIMEOUT',
    message: `${server.url}/stop sent nothing for 0.06 s`,
  });
  // Drops come so often that a busy machine does not make a silence of them.
  await using patient = client({ timeout: 500, retries: 0 });
  await assert.rejects(patient.made.small(`${server.url}/drip`, { signal: never }), {
    code: 'E_HTTP_TIMEOUT',
    message: `${server.url}/drip sent next to nothing for 2 s`,
  });
});

test('a timeout longer than any timer, or of 0, is no timeout', async () => {
  await using server = await serve((_, response) => setTimeout(() => response.end('late'), 20));
  for (const timeout of [0, 365 * 86_400_000]) {
    await using http = client({ timeout, retries: 0 });
    const found = await http.made.small(server.url, { signal: never });
    assert.equal(found?.bytes.toString(), 'late');
  }
});

test('a body that was encoded on the way is refused', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/content') response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('x');
    else response.writeHead(200, { 'Transfer-Encoding': 'gzip, chunked' }).end('x');
  });
  await using http = client();
  for (const path of ['/content', '/transfer'])
    await assert.rejects(http.made.open(server.url + path, { signal: never }), { code: 'E_HTTP_BODY' }, path);
});

test('credentials: taken out of the URL, shown to its origin only, and in no message', async () => {
  await using other = await serve((_, response) => response.end('other'));
  await using server = await serve((request, response) => {
    if (request.url === '/away') response.writeHead(302, { Location: `${other.url}/x` }).end();
    else if (request.url === '/here') response.writeHead(302, { Location: '/there' }).end();
    else if (request.url === '/no') response.writeHead(403).end();
    else response.end('mine');
  });
  await using http = client({
    credentials: { username: 'u', password: 'p' },
    headers: { 'X-Token': 'secret' },
  });
  const withUser = server.url.replace('//', '//me:s%40cret@');
  const found = await http.made.small(`${withUser}/here`, { signal: never });
  assert.equal(found?.url, `${server.url}/there`);
  const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`;
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.authorization),
    [basic('me:s@cret'), basic('me:s@cret')],
  );
  await http.made.small(`${server.url}/away`, { signal: never, headers: { range: 'bytes=0-' } });
  const [seen] = other.requests;
  assert.equal(server.requests.at(-1)?.headers.authorization, basic('u:p'));
  assert.equal(server.requests.at(-1)?.headers['x-token'], 'secret');
  assert.equal(seen?.headers.authorization, undefined);
  assert.equal(seen?.headers['x-token'], undefined);
  assert.equal(seen?.headers.range, 'bytes=0-');
  await http.made.open(other.url, { signal: never, foreign: true }).then((answer) => answer.discard());
  assert.equal(other.requests.at(-1)?.headers.authorization, undefined);
  const refused = await http.made.open(`${withUser}/no`, { signal: never }).catch((error: unknown) => error);
  assert.ok(refused instanceof Error);
  assert.doesNotMatch(JSON.stringify([refused, refused.stack, http.events]), /cret/);
});

test('redirects: at most ten, no loop, and to http and https only', async () => {
  await using other = await serve((request, response) => response.end(request.method));
  await using server = await serve((request, response) => {
    const to = (Location: string): unknown => response.writeHead(302, { Location }).end();
    const step = /^\/step(\d+)$/.exec(request.url ?? '');
    if (step !== null) return to(`/step${Number(step[1]) + 1}`);
    if (request.url === '/file') return to('file:///etc/passwd');
    if (request.url === '/loop') return to('/pool');
    if (request.url === '/pool') return to('/loop');
    if (request.url === '/nowhere') return response.writeHead(302).end();
    if (request.url === '/post') return response.writeHead(307, { Location: other.url }).end();
    if (request.url === '/form') return response.writeHead(303, { Location: other.url }).end();
    return response.end(request.method);
  });
  await using http = client();
  for (const path of ['/step1', '/file', '/loop', '/nowhere'])
    await assert.rejects(
      http.made.small(server.url + path, { signal: never }),
      { code: 'E_HTTP_REDIRECT' },
      path,
    );
  assert.equal(server.requests.filter(({ path }) => path.startsWith('/step')).length, 11);
  const post = { method: 'POST', body: 'password=x', signal: never } as const;
  await assert.rejects(http.made.open(`${server.url}/post`, post), { code: 'E_HTTP_REDIRECT' });
  assert.equal(await text((await http.made.open(`${server.url}/form`, post)).body), 'GET');
});

test('no more connections at a time than allowed, and a place comes back whatever became of the response', async () => {
  let [now, most] = [0, 0];
  await using server = await serve((request, response) => {
    most = Math.max(most, ++now);
    response.on('close', () => now--);
    if (request.url === '/error') response.writeHead(404).end();
    else setTimeout(() => response.end('x'.repeat(100_000)), 5);
  });
  await using http = client({ concurrency: 2 });
  const one = async (at: number): Promise<void> => {
    const path = ['/a', '/error', '/b', '/c'][at % 4];
    const response = await http.made.open(`${server.url}${path}`, { signal: never }).catch(() => undefined);
    if (at % 4 === 2) return await response?.discard();
    for await (const _ of response?.body ?? []) if (at % 4 === 3) break;
  };
  await Promise.all(Array.from({ length: 20 }, (_, at) => one(at)));
  assert.equal(most, 2);
});

test('cancelling ends a wait, a request and a body', async () => {
  await using server = await serve((request, response) => {
    if (request.url === '/body') response.write('x');
  });
  await using http = client();
  for (const path of ['/', '/body']) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 20);
    await assert.rejects(http.made.small(server.url + path, { signal: controller.signal }), {
      code: 'E_CANCELLED',
    });
  }
  await assert.rejects(http.made.open(server.url, { signal: AbortSignal.abort() }), { code: 'E_CANCELLED' });
});

test('cancelled while the body of a redirect comes: nothing more is asked for', async () => {
  const controller = new AbortController();
  await using server = await serve((_, response) => {
    response.writeHead(302, { Location: '/elsewhere' }).write('moved');
    setTimeout(() => controller.abort(), 50);
  });
  await using http = client({ timeout: 5000 });
  await assert.rejects(http.made.open(server.url, { signal: controller.signal }), { code: 'E_CANCELLED' });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ['/'],
  );
});

test('the rate is kept over all connections', async () => {
  await using server = await serve((_, response) => response.end('x'.repeat(10_000)));
  await using http = client({ rateLimit: 10_000 });
  await Promise.all([1, 2].map(() => http.made.small(server.url, { signal: never })));
  // 20 KB at 10 KB/s, the first quarter of a second free; the sleeps of this test take no time.
  assert.ok(Math.max(...http.slept) > 1500);
  await using free = client({ rateLimit: 0 });
  await free.made.small(server.url, { signal: never });
  assert.deepEqual(free.slept, []);
});

test('through the proxy of the environment or of the source, but not to this machine', async () => {
  await using proxy = await serve((request, response) =>
    response.writeHead(request.headers['proxy-authorization'] === undefined ? 407 : 200).end(request.url),
  );
  const proxyUrl = proxy.url.replace('//', '//user:secret@');
  await using http = client({}, { http_proxy: proxyUrl, no_proxy: 'inside.test' });
  const found = await http.made.small('http://outside.test/a', { signal: never });
  assert.equal(found?.bytes.toString(), 'http://outside.test/a');
  await using server = await serve((_, response) => response.end('direct'));
  assert.equal((await http.made.small(server.url, { signal: never }))?.bytes.toString(), 'direct');
  await using own = client({ proxy: proxyUrl });
  assert.equal(
    (await own.made.small(`${server.url}/b`, { signal: never }))?.bytes.toString(),
    `${server.url}/b`,
  );
  await using refused = client({ proxy: proxy.url });
  await assert.rejects(refused.made.small(server.url, { signal: never }), { code: 'E_AUTHENTICATION' });
});
