/** What is believed of a registry's answers: what hashes to its name, and lists that end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '../../core/digest.ts';
import type { HttpClient, HttpRequest } from '../../net/port.ts';
import { getManifest, getReferrers, getSmallBlob, headManifest, type Registry } from './registry.ts';
import { parseImageLocation } from './repository.ts';

const { signal } = new AbortController();
const base = 'https://registry.example/v2/a/';
const indexType = 'application/vnd.oci.image.index.v1+json';
const digest = sha256('subject');

interface Answer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

type Asked = HttpRequest & { readonly path: string };

/** Answers by path below the repository; what is not named is 404. */
function registryWith(answers: Readonly<Record<string, Answer>>): { registry: Registry; asked: Asked[] } {
  const asked: Asked[] = [];
  const client: HttpClient = {
    ...{ retries: 0, concurrency: 1 },
    async open(url, request) {
      const path = url.slice(base.length);
      asked.push({ ...request, path });
      const { status = 200, headers = {}, body = '' } = answers[path] ?? { status: 404 };
      assert.ok(status < 300 || request.accept?.includes(status), `${status} would be an error`);
      return {
        ...{ status, url, headers, discard: async () => undefined },
        body: (async function* () {
          yield Buffer.from(body);
        })(),
      };
    },
    small: async () => undefined,
    async [Symbol.asyncDispose]() {},
  };
  return { registry: { repository: parseImageLocation('docker://registry.example/a'), client }, asked };
}

function index(...digests: readonly string[]): string {
  const manifests = digests.map((one) => ({
    ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${one}`, size: 1 },
  }));
  return JSON.stringify({ schemaVersion: 2, mediaType: indexType, manifests });
}

const page = (body: string, link?: string): Answer => ({
  headers: { 'content-type': `${indexType}; charset=utf-8`, ...(link === undefined ? {} : { link }) },
  body,
});

test('what a head says: gone, there, there with a digest, and a digest that is another', async () => {
  const head = async (answer: Answer, reference = 'v1') =>
    await headManifest(registryWith({ [`manifests/${reference}`]: answer }).registry, reference, signal);
  for (const status of [404, 410]) assert.deepEqual(await head({ status }), { state: 'gone' });
  const headers = { 'docker-content-digest': `sha256:${digest}` };
  // Of a refusal the digest is that of a page of errors.
  for (const status of [400, 405, 501]) assert.deepEqual(await head({ status, headers }), { state: 'there' });
  assert.deepEqual(await head({}), { state: 'there' });
  for (const odd of ['', 'sha256:12', `sha512:${digest}`, digest])
    assert.deepEqual(await head({ headers: { 'docker-content-digest': odd } }), { state: 'there' }, odd);
  assert.deepEqual(await head({ headers }), { state: 'there', digest });
  assert.deepEqual(await head({ headers }, `sha256:${digest}`), { state: 'there', digest });
  await assert.rejects(head({ headers }, `sha256:${sha256('other')}`), { code: 'E_CHECKSUM_MISMATCH' });
});

test('a manifest is what its name and its header say', async () => {
  const body = index(digest);
  const get = async (answer: Answer, reference: string, none?: readonly number[]) =>
    await getManifest(registryWith({ [`manifests/${reference}`]: answer }).registry, reference, {
      ...{ signal, ...(none === undefined ? {} : { none }) },
    });
  const own = sha256(body);
  assert.equal((await get(page(body), 'v1'))?.manifests[0]?.digest, digest);
  assert.equal((await get(page(body), `sha256:${own}`))?.manifests.length, 1);
  await assert.rejects(get(page(body), `sha256:${digest}`), { code: 'E_CHECKSUM_MISMATCH' });
  const header = { ...page(body).headers, 'docker-content-digest': `sha256:${digest}` };
  await assert.rejects(get({ body, headers: header }, 'v1'), { code: 'E_CHECKSUM_MISMATCH' });
  for (const status of [404, 410]) assert.equal(await get({ status, body }, 'v1'), undefined);
  assert.equal(await get({ status: 403, body }, 'v1', [403]), undefined);
});

test('small content is what its name says, no longer than it is said to be, or none', async () => {
  const get = async (answer: Answer, size = 7) =>
    await getSmallBlob(
      registryWith({ [`blobs/sha256:${digest}`]: answer }).registry,
      { digest, size },
      signal,
    );
  assert.equal((await get({ body: 'subject' }))?.toString(), 'subject');
  await assert.rejects(get({ body: 'Subject' }), { code: 'E_CHECKSUM_MISMATCH' });
  await assert.rejects(get({ body: 'subject' }, 6), { code: 'E_REGISTRY_INVALID' });
  for (const status of [404, 410]) assert.equal(await get({ status, body: 'subject' }), undefined);
});

test('referrers: page after page below the repository, by a tag where there is no list', async () => {
  const [first, second, tag] = [
    `referrers/sha256:${digest}`,
    'referrers/more?n=2',
    `manifests/sha256-${digest}`,
  ];
  const of = async (answers: Record<string, Answer>) => {
    const { registry, asked } = registryWith(answers);
    const found = await getReferrers(registry, digest, signal);
    return { found: found.map((one) => one.digest), asked: asked.map(({ path }) => path) };
  };
  const [a, b] = [sha256('a'), sha256('b')];
  const link = `</v2/a/${second}>; rel="next"`;
  const paged = { [first]: page(index(a), link), [second]: page(index(b)), [tag]: page(index(b)) };
  assert.deepEqual(await of(paged), { found: [a, b], asked: [first, second] });
  for (const none of [
    { status: 404 },
    { status: 403 },
    { body: index(a), headers: { 'content-type': 'text/html' } },
  ])
    assert.deepEqual(await of({ [first]: none, [tag]: page(index(b)) }), { found: [b], asked: [first, tag] });
  // A list in an answer that is a refusal is none.
  const refusal = { ...page(index(a)), status: 403 };
  assert.deepEqual(await of({ [first]: refusal }), { found: [], asked: [first, tag] });
  const fails = async (answers: Record<string, Answer>, message: RegExp): Promise<void> =>
    await assert.rejects(of(answers), { code: 'E_REGISTRY_INVALID', message });
  await fails({ ...paged, [second]: { status: 404 } }, /does not end/);
  await fails({ [first]: page(index(a), `</v2/a/${first}>; rel="next"`) }, /does not end/);
  for (const elsewhere of ['https://other.example/v2/a/x', '/v2/b/x', '/v2/ab/x', 'https://['])
    await fails({ [first]: page(index(a), `<${elsewhere}>; rel="next"`) }, /leads elsewhere/);
  const many = Array.from({ length: 1000 }, (_, at) => sha256(String(at)));
  assert.equal((await of({ [first]: page(index(...many)) })).found.length, 1000);
  await fails({ [first]: page(index(...many), link), [second]: page(index(b)) }, /more than 1000/);
});
