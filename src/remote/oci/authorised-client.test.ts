import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putBlob, startFakeRegistry, type FakeRegistry } from '../../../test/support/fake-registry.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import { ignoreEvents } from '../../core/events.ts';
import { createHttpClient } from '../../net/http-client.ts';
import type { HttpClient, HttpResponse } from '../../net/port.ts';
import { createAuthorisedClient } from './authorised-client.ts';
import type { RegistryCredentials } from './credential-helper.ts';
import { parseImageLocation } from './repository.ts';

const { signal } = new AbortController();
const right = { username: 'u', password: 'p' };

function clientFor(base: HttpClient, { host }: FakeRegistry, credentials?: RegistryCredentials) {
  let asked = 0;
  const client = createAuthorisedClient(base, [
    {
      repository: parseImageLocation(`docker://${host}/a`),
      credentials: async () => {
        asked++;
        return credentials;
      },
    },
  ]);
  const get = async (count = 1) => {
    const url = `http://${host}/v2/a/manifests/v1`;
    const all = await Promise.all(Array.from({ length: count }, () => client.small(url, { signal })));
    return all.map((answer) => answer?.bytes.length);
  };
  return { client, get, asked: () => asked };
}

function plain(): HttpClient {
  return createHttpClient({ retries: 0 }, { events: ignoreEvents });
}

function tokens({ requests }: FakeRegistry): number {
  return requests.filter(({ line, status }) => line.endsWith(' /token') && status === 200).length;
}

test('an open registry is never told who asks', async () => {
  await using registry = await startFakeRegistry();
  const { bytes } = registry.put('a', { tag: 'v1' });
  await using base = plain();
  const { get, asked } = clientFor(base, registry, right);
  assert.deepEqual(await get(), [bytes.length]);
  assert.equal(asked(), 0);
  assert.ok(registry.requests.every(({ authorization }) => authorization === undefined));
});

test('Basic: shown after it was asked for, then at once', async () => {
  await using registry = await startFakeRegistry({ auth: 'basic', ...right });
  registry.put('a', { tag: 'v1' });
  await using base = plain();
  const { get, asked } = clientFor(base, registry, right);
  await get();
  await get();
  assert.deepEqual(
    registry.requests.map(({ status }) => status),
    [401, 200, 200],
  );
  assert.equal(asked(), 1);
});

test('Bearer: anonymous, with a password, with an identity token; the token is kept', async () => {
  for (const [manners, credentials] of [
    [{}, undefined],
    [right, right],
    [{ identityToken: 'idt' }, { identityToken: 'idt' }],
  ] as const) {
    await using registry = await startFakeRegistry({ auth: 'bearer', ...manners });
    registry.put('a', { tag: 'v1' });
    await using base = plain();
    const { get } = clientFor(base, registry, credentials);
    await get();
    await get();
    assert.equal(tokens(registry), 1);
    assert.equal(registry.requests.at(-1)!.authorization, 'Bearer token-0-repository:a:pull');
  }
});

test('a token that expired or was revoked is renewed, once for all who wait', async () => {
  await using registry = await startFakeRegistry({ auth: 'bearer', tokenSeconds: 0.001 });
  registry.put('a', { tag: 'v1' });
  await using base = plain();
  const { get } = clientFor(base, registry);
  await get();
  registry.manners.tokenSeconds = 3600;
  await new Promise((resolve) => setTimeout(resolve, 5));
  await get();
  assert.equal(tokens(registry), 2);
  registry.manners.revoked = true;
  assert.equal((await get(4)).length, 4);
  assert.equal(tokens(registry), 3);
});

test('one that is cancelled while it asks for all leaves the others to ask', async () => {
  const first = new AbortController();
  let asked = 0;
  const base: HttpClient = {
    ...{ retries: 0, concurrency: 1 },
    async open(url, request) {
      const answer = (status: number, headers: Record<string, string>, body = ''): HttpResponse => ({
        ...{ status, url, headers, discard: async () => undefined },
        body: (async function* () {
          yield Buffer.from(body);
        })(),
      });
      if (url.startsWith('https://tokens.example/')) {
        if (++asked > 1) return answer(200, {}, '{"token":"t"}');
        first.abort();
        throw new CellarError('E_CANCELLED', { cause: request.signal.reason });
      }
      return request.headers?.['authorization'] === 'Bearer t'
        ? answer(200, {})
        : answer(401, { 'www-authenticate': 'Bearer realm="https://tokens.example/"' });
    },
    small: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  const repository = parseImageLocation('docker://registry.example/a');
  const client = createAuthorisedClient(base, [{ repository, credentials: async () => undefined }]);
  const url = 'https://registry.example/v2/a/manifests/v1';
  const [one, other] = await Promise.allSettled([
    client.open(url, { signal: first.signal }),
    client.open(url, { signal }),
  ]);
  assert.ok(one.status === 'rejected' && isCellarError(one.reason, 'E_CANCELLED'));
  assert.ok(other.status === 'fulfilled' && other.value.status === 200);
  assert.equal(asked, 2);
});

test('wrong or missing credentials: refused by the registry or its token server', async () => {
  for (const auth of ['basic', 'bearer'] as const)
    for (const credentials of [undefined, { ...right, password: 'hunter2' }, { identityToken: 'hunter2' }]) {
      await using registry = await startFakeRegistry({ auth, ...right });
      registry.put('a', { tag: 'v1' });
      await using base = plain();
      const { get } = clientFor(base, registry, credentials);
      await assert.rejects(
        get(),
        (error) => isCellarError(error, 'E_AUTHENTICATION') && !/hunter2/.test(error.message),
      );
    }
});

test('a redirect and a foreign URL are shown nothing', async () => {
  await using elsewhere = await startFakeRegistry();
  await using registry = await startFakeRegistry({
    auth: 'bearer',
    blobRedirect: `http://localhost:${elsewhere.host.split(':')[1]}`,
  });
  const { digest } = putBlob(elsewhere, 'a', { content: 'far', mediaType: '' });
  registry.blobs.set(`a/${digest}`, Buffer.from('far'));
  await using base = createHttpClient({ retries: 0, credentials: right }, { events: ignoreEvents });
  const { client } = clientFor(base, registry, right);
  for (const host of [registry.host, elsewhere.host]) {
    const answer = await client.small(`http://${host}/v2/a/blobs/${digest}`, { signal });
    assert.equal(answer!.bytes.toString(), 'far');
  }
  assert.equal(elsewhere.requests.length, 2);
  assert.ok(elsewhere.requests.every(({ authorization }) => authorization === undefined));
});

test('a token server without https is refused for a registry with it, and a strange one always', async () => {
  for (const realm of ['ftp://x/token', 'nowhere']) {
    await using registry = await startFakeRegistry({ auth: 'bearer', realm });
    await using base = plain();
    const { get } = clientFor(base, registry);
    await assert.rejects(get(), (error) => isCellarError(error, 'E_REGISTRY_INVALID'));
  }
  const secure: HttpClient = {
    ...{ retries: 0, concurrency: 1 },
    open: async (url) => ({
      status: 401,
      url,
      headers: { 'www-authenticate': 'Bearer realm="http://tokens.example/"' },
      body: (async function* () {})(),
      discard: async () => undefined,
    }),
    small: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  const repository = parseImageLocation('docker://registry.example/a');
  const client = createAuthorisedClient(secure, [{ repository, credentials: async () => right }]);
  await assert.rejects(
    client.open('https://registry.example/v2/a/manifests/v1', { signal }),
    /without https/,
  );
});
