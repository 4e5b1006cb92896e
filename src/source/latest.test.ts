import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import { startImageServer, type ImageServer } from '../../test/support/image-server.ts';
import { latestDriver, parseLatestLocation } from './latest.ts';
import type { Offer, Query } from './port.ts';

const [a, b, c] = ['a', 'b', 'c'].map((digit) => digit.repeat(64));
const expression = String.raw`ubuntu-base-24\.04(\.\d+)?-base-amd64\.tar\.gz`;

test('a location holds a directory and an expression', () => {
  const { directory, expression, pattern, shape } = parseLatestLocation('latest:file+https://h/d/?a?b#c+');
  assert.deepEqual([directory, expression, shape], ['https://h/d/', 'a?b#c+', { kind: 'file' }]);
  assert.ok(pattern.test('ab#ccc') && !pattern.test('xab#c') && !pattern.test('ab#cx'));
  for (const text of [
    'latest:',
    'latest:https://h/d/',
    'latest:https://h/d/?',
    'latest:https://h/?(',
    'latest:ftp://h/?x',
  ])
    assert.throws(
      () => parseLatestLocation(text),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
      text,
    );
});

test('numbers are numbers, and the digest of the newest is offered', async () => {
  const listed = ['24.04', '24.04.9', '24.04.10', '26.04'].map(
    (version) => `ubuntu-base-${version}-base-amd64.tar.gz`,
  );
  await using server = await startServer(listed.map((name, at) => `${[a, b, c, a][at]}  ${name}`).join('\n'));
  const [offer] = await look(server, expression);
  assert.deepEqual(offer!.parts, [
    {
      role: 'content',
      name: 'ubuntu-base-24.04.10-base-amd64.tar.gz',
      format: 'tar',
      sha256: c,
      from: { type: 'http', urls: [`${server.url}/releases/ubuntu-base-24.04.10-base-amd64.tar.gz`] },
    },
  ]);
});

test('when nothing matches it is said how many names were seen', async () => {
  await using server = await startServer(`${a}  x.tar\n${b}  sub/ubuntu-base-24.04-base-amd64.tar.gz\n`);
  await assert.rejects(look(server, expression), (error) => {
    assert.ok(isCellarError(error, 'E_SOURCE_GONE'));
    assert.match(error.message, /none of the 2 names/);
    return true;
  });
});

test('a name with two digests, or one that leads elsewhere, is refused', async () => {
  for (const text of [`${a}  x.tar\n${b}  x.tar\n`, `${a}  ..\n`, `${a}  %2e%2e\n`, `${a}  x?y\n`]) {
    await using server = await startServer(text);
    await assert.rejects(look(server, '.*'), (error) => isCellarError(error, 'E_HTTP_BODY'), text);
  }
});

test('an expression that would take years is given up; a name that no file can have matches none', async () => {
  await using server = await startServer(`${a}  ${'a'.repeat(200)}!\n`);
  await assert.rejects(look(server, '(a+)+'), (error) => {
    assert.ok(isCellarError(error, 'E_SOURCE_INVALID'));
    assert.match(error.message, /takes too long/);
    return true;
  });
  server.files.set('/releases/SHA256SUMS', `${a}  x-${'9'.repeat(300)}\n${b}  x-1\n`);
  assert.equal((await look(server, 'x-.*'))[0]!.parts[0]!.name, 'x-1');
});

test('the same name with another digest is something new; other lines are not', async () => {
  await using server = await startServer(`${a}  x-1.tar\n`);
  const known = await look(server, 'x.*');
  server.files.set('/releases/SHA256SUMS', `${a}  x-1.tar\n${b}  y-2.tar\n`);
  assert.equal((await look(server, 'x.*', { known }))[0]!.unchanged, true);
  server.files.set('/releases/SHA256SUMS', `${b}  x-1.tar\n`);
  assert.equal((await look(server, 'x.*', { known }))[0]!.unchanged, undefined);
});

test('sums that stayed as they were do not answer for another expression', async () => {
  await using server = await startServer(`${a}  x-1.tar\n${b}  x-2.tar\n`);
  const known = await look(server, 'x-1.tar');
  assert.equal((await look(server, 'x.*', { known }))[0]!.parts[0]!.sha256, b);
});

async function startServer(sums: string): Promise<ImageServer> {
  return await startImageServer({ '/releases/SHA256SUMS': sums });
}

async function look(server: ImageServer, wanted: string, query: Partial<Query> = {}): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = latestDriver.open(`latest:${server.url}/releases/?${wanted}`, {
    mirrors: [],
    http: {},
  });
  const asked = { platforms: 'all' as const, known: [], ...query };
  return await source.look(asked, { client, signal: new AbortController().signal });
}
