import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import { startImageServer, type Manners } from '../../test/support/image-server.ts';
import { httpDriver } from './http.ts';
import type { Offer, Query } from './port.ts';

const path = '/a/rootfs.tar.zst';

test('size, ETag and date come with the headers', async () => {
  await using server = await startImageServer({ [path]: 'content' });
  const [offer] = await look(server.url + path);
  assert.deepEqual(offer!.parts, [
    {
      role: 'content',
      name: 'rootfs.tar.zst',
      size: 7,
      format: 'tar',
      from: { type: 'http', urls: [server.url + path] },
    },
  ]);
  assert.equal(offer!.revision, offer!.etag);
  assert.deepEqual(server.requests, [{ line: `HEAD ${path}`, status: 200 }]);
});

for (const status of [403, 405, 501])
  test(`a server that answers HEAD with ${status} is asked for one byte`, async () => {
    await using server = await startImageServer({ [path]: 'content' });
    server.manners.headStatus = status;
    const [offer] = await look(server.url + path);
    assert.equal(offer!.parts[0]!.size, 7);
    const [again] = await look(server.url + path, { known: [offer!] });
    assert.equal(again!.unchanged, true);
    server.files.delete(path);
    await assert.rejects(look(server.url + path), (error) => isCellarError(error, 'E_SOURCE_GONE'));
  });

const unlike: readonly (readonly [NonNullable<Manners['validators']>, boolean])[] = [
  ['weak', true],
  ['date', true],
  ['none', false],
];
for (const [validators, isKnown] of unlike)
  test(`with validators '${validators}' a second look ${isKnown ? 'finds nothing new' : 'counts as new'}`, async () => {
    await using server = await startImageServer({ [path]: 'content' });
    server.manners.validators = validators;
    const [first] = await look(server.url + path);
    const [second] = await look(server.url + path, { known: [first!] });
    assert.equal(second!.unchanged ?? false, isKnown);
    assert.equal(second!.revision === first!.revision, isKnown);
  });

test('a file of another size with the same date is another revision', async () => {
  await using server = await startImageServer({ [path]: 'content' });
  server.manners.validators = 'date';
  const [first] = await look(server.url + path);
  server.files.set(path, 'longer content');
  const [second] = await look(server.url + path);
  assert.notEqual(second!.revision, first!.revision);
});

test('an answer of "not modified" that was not asked for is no answer', async () => {
  await using server = await startImageServer({ [path]: 'content' });
  server.manners.status = 304;
  await assert.rejects(look(server.url + path), (error) => isCellarError(error, 'E_HTTP_BODY'));
});

test('a prefix decides, a directory is refused', async () => {
  await using server = await startImageServer({ '/download': 'x' });
  assert.equal((await look(`${server.url}/download`))[0]!.kind, 'file');
  assert.equal((await look(`tar+${server.url}/download`))[0]!.kind, 'tree');
  assert.throws(
    () => httpDriver.open(`${server.url}/a/`, { mirrors: [], http: {} }),
    (error) => isCellarError(error, 'E_SOURCE_INVALID'),
  );
});

test('what the user interrupts does not go on to the mirrors', async () => {
  await using server = await startImageServer({ [path]: 'content' });
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = httpDriver.open('http://127.0.0.1:1/rootfs.tar.zst', {
    mirrors: [`${server.url}/a/`],
    http: {},
  });
  const signal = AbortSignal.abort();
  await assert.rejects(source.look({ platforms: 'all', known: [] }, { client, signal }));
  assert.deepEqual(server.requests, []);
});

async function look(location: string, query: Partial<Query> = {}): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = httpDriver.open(location, { mirrors: [], http: {} });
  const asked = { platforms: 'all' as const, known: [], ...query };
  return await source.look(asked, { client, signal: new AbortController().signal });
}
