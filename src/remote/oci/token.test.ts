/** What a registry's token server is asked and told, to the letter, and what is believed of its answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpClient, HttpRequest } from '../../net/port.ts';
import type { RegistryCredentials } from './credential-helper.ts';
import { parseImageLocation } from './repository.ts';
import { answerChallenge, type Authorization } from './token.ts';

const { signal } = new AbortController();
const url = 'https://registry.example/v2/a/manifests/v1';
const password = { username: 'u', password: 'p' };
const realm = 'https://tokens.example/token';

interface Asked extends HttpRequest {
  readonly url: string;
}

interface Given {
  readonly header?: string | undefined;
  readonly credentials?: RegistryCredentials;
  readonly status?: number;
  /** Of the token server. */
  readonly answer?: string;
  readonly registry?: string;
}

async function answered(given: Given): Promise<{ found: Authorization; asked: Asked[] }> {
  const asked: Asked[] = [];
  const client: HttpClient = {
    ...{ retries: 0, concurrency: 1 },
    async open(at, request) {
      asked.push({ ...request, url: at });
      const status = given.status ?? 200;
      assert.ok(status < 300 || request.accept?.includes(status));
      return {
        ...{ status, url: at, headers: {}, discard: async () => undefined },
        body: (async function* () {
          yield Buffer.from(given.answer ?? '{"token":"t"}');
        })(),
      };
    },
    small: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  const found = await answerChallenge({
    ...{ client, url, signal, credentials: given.credentials },
    repository: parseImageLocation(given.registry ?? 'docker://registry.example/a'),
    header: 'header' in given ? given.header : `Bearer realm="${realm}",service="s"`,
  });
  return { found, asked };
}

const invalid = (problem: RegExp) => ({ code: 'E_REGISTRY_INVALID', message: problem });

test('a bearer token of the user is shown as it is, and nobody is asked for another', async () => {
  const { found, asked } = await answered({ credentials: { bearer: 'mine' } });
  assert.deepEqual(found, { header: 'Bearer mine', expires: Infinity });
  assert.deepEqual(asked, []);
});

test('no password is shown to who asks for something else than a password', async () => {
  for (const header of [undefined, '', 'Negotiate', 'Digest realm="basic"'])
    await assert.rejects(answered({ header, credentials: password }), invalid(/not known here/), header);
  const { found } = await answered({ header: 'Negotiate, Basic realm="x"', credentials: password });
  assert.deepEqual(found, { header: 'Basic dTpw', expires: Infinity });
  for (const credentials of [undefined, { identityToken: 'i' }])
    await assert.rejects(answered({ header: 'Basic', ...(credentials && { credentials }) }), {
      code: 'E_AUTHENTICATION',
      details: { url, status: 401 },
    });
});

test('a token is asked for by its scope, and the password shown to the token server alone', async () => {
  const anonymous = await answered({});
  assert.equal(anonymous.asked[0]!.url, `${realm}?service=s&scope=repository%3Aa%3Apull`);
  assert.deepEqual(
    [anonymous.asked[0]!.method, anonymous.asked[0]!.headers, anonymous.asked[0]!.foreign],
    [undefined, undefined, true],
  );
  const scoped = `Bearer realm="https://registry.example/token?x=1",scope="repository:b:pull"`;
  const known = await answered({ header: scoped, credentials: password });
  assert.equal(
    known.asked[0]!.url,
    'https://registry.example/token?x=1&scope=repository%3Ab%3Apull&account=u',
  );
  assert.deepEqual(known.asked[0]!.headers, { authorization: 'Basic dTpw' });
  // The registry itself: it may be shown what the client says to its own source.
  assert.equal(known.asked[0]!.foreign, false);
});

test('an identity token travels in the body, never in the URL', async () => {
  const { asked } = await answered({ credentials: { identityToken: 'i&d' } });
  assert.equal(asked[0]!.url, realm);
  assert.equal(asked[0]!.method, 'POST');
  assert.equal(
    asked[0]!.body,
    'service=s&scope=repository%3Aa%3Apull&grant_type=refresh_token&refresh_token=i%26d&client_id=rootcellar',
  );
});

test('a realm without https is for registries without it alone; a user name in it is nobody', async () => {
  const header = 'Bearer realm="http://evil:secret@tokens.example/token"';
  await assert.rejects(answered({ header, credentials: password }), invalid(/without https/));
  const { asked } = await answered({ header, registry: 'docker+http://registry.example/a' });
  assert.match(asked[0]!.url, /^http:\/\/tokens\.example\/token\?/);
  for (const odd of ['Bearer', 'Bearer realm="token"', 'Bearer realm=""'])
    await assert.rejects(answered({ header: odd }), invalid(/where tokens are given/), odd);
  const ftp = { header: 'Bearer realm="ftp://x/"', registry: 'docker+http://registry.example/a' };
  await assert.rejects(answered(ftp), invalid(/without https/));
});

test('a refusal tells of the token server, without what was asked', async () => {
  for (const status of [401, 403])
    await assert.rejects(answered({ status, credentials: password, answer: '{"token":"t"}' }), {
      code: 'E_AUTHENTICATION',
      details: { url: realm, status },
    });
});

test('what is no token, or more than one line of a header, is refused', async () => {
  for (const answer of [
    '',
    '[]',
    'null',
    '"t"',
    '{}',
    '{"token":""}',
    '{"token":5}',
    '{"token":"a\\r\\nb: c"}',
  ])
    await assert.rejects(answered({ answer }), invalid(/no token/), answer);
  await assert.rejects(answered({ answer: `{"token":"${'t'.repeat(1 << 20)}"}` }), invalid(/more than/));
  for (const answer of ['{"access_token":"t"}', '{"token":"","access_token":"t"}']) {
    const { found } = await answered({ answer });
    assert.equal(found.header, 'Bearer t', answer);
  }
});

test('a token is renewed before it ends, and one of which nothing is said after less than a minute', async () => {
  for (const [says, seconds] of [
    ['', 60],
    [',"expires_in":300', 300],
    [',"expires_in":0', 60],
    [',"expires_in":-5', 60],
    [',"expires_in":"300"', 60],
  ] as const) {
    const before = performance.now();
    const { found } = await answered({ answer: `{"token":"t"${says}}` });
    const after = performance.now();
    const began = found.expires - seconds * 900;
    assert.ok(began >= before && began <= after, says);
  }
});
