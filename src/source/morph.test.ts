import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import { startImageServer, type ImageServer } from '../../test/support/image-server.ts';
import { morphDriver, parseMorphLocation } from './morph.ts';
import type { Offer } from './port.ts';

const key = '0123456789abcdef'.repeat(4);
const artifacts = '/1.0/artifacts?filename=';

test('a location names server and artifact', () => {
  const name = `${key}.system.base-x86_64`;
  assert.deepEqual(parseMorphLocation(`morph:http://trove:8080#${name}`), {
    server: 'http://trove:8080',
    name,
  });
  for (const text of [
    'morph:x',
    'morph:http://h',
    'morph:http://h#',
    'morph:http://h#../x',
    'morph:http://h#.x',
    'morph:http://h#a&b',
  ])
    assert.throws(
      () => parseMorphLocation(text),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
      text,
    );
});

test('chunks and systems are trees, strata and everything else files', async () => {
  for (const [kind, expected] of [
    ['chunk', 'tree'],
    ['system', 'tree'],
    ['stratum', 'file'],
  ]) {
    const name = `${key}.${kind}.x`;
    await using server = await startImageServer({ [artifacts + name]: 'x' });
    const [offer] = await look(server, name);
    assert.equal(offer!.kind, expected);
    assert.deepEqual(offer!.parts[0]!.from, { type: 'http', urls: [`${server.url}${artifacts}${name}`] });
  }
});

test('metadata is that of the artifact, or of its key, or missing', async () => {
  const name = `${key}.chunk.x`;
  await using server = await startImageServer({
    [artifacts + name]: 'x',
    [`${artifacts}${key}.meta`]: '{"a":1}',
  });
  const metadata = async (): Promise<unknown> => (await look(server, name))[0]!.parts[1];
  const part = (file: string, size: number): unknown => ({
    role: 'attachment',
    name: 'morph.meta',
    size,
    from: { type: 'http', urls: [`${server.url}${artifacts}${file}`] },
  });
  assert.deepEqual(await metadata(), part(`${key}.meta`, 7));
  server.files.set(`${artifacts}${name}.meta`, '{}');
  assert.deepEqual(await metadata(), part(`${name}.meta`, 2));
  server.files.delete(`${artifacts}${name}.meta`);
  server.files.delete(`${artifacts}${key}.meta`);
  assert.equal(await metadata(), undefined);
});

test('only a 404 or a 410 means absent', async () => {
  await using server = await startImageServer();
  for (const [status, code] of [
    [404, 'E_SOURCE_GONE'],
    [410, 'E_SOURCE_GONE'],
    [500, 'E_HTTP_STATUS'],
    [400, 'E_HTTP_STATUS'],
  ] as const) {
    server.manners.status = status;
    await assert.rejects(
      look(server, `${key}.chunk.x`),
      (error) => isCellarError(error, code),
      String(status),
    );
  }
});

async function look(server: ImageServer, name: string): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = morphDriver.open(`morph:${server.url}#${name}`, { mirrors: [], http: {} });
  return await source.look({ platforms: 'all', known: [] }, { client, signal: new AbortController().signal });
}
