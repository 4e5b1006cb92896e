import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import { startImageServer } from '../../test/support/image-server.ts';
import { lxcIndexDriver, parseLxcIndex, parseLxcLocation } from './lxc-index.ts';
import type { Offer, Query } from './port.ts';

const image = { distribution: 'debian', release: 'trixie', variant: 'default' };

test('a location names server, prefix and image', () => {
  const cases: Record<string, ReturnType<typeof parseLxcLocation>> = {
    'lxc://h/debian/trixie': { server: 'https://h', selector: image },
    'lxc://h:8443/debian/trixie/arm64': { server: 'https://h:8443', selector: { ...image, arch: 'arm64' } },
    'lxc+http://h/debian/trixie/arm64/cloud': {
      server: 'http://h',
      selector: { ...image, arch: 'arm64', variant: 'cloud' },
    },
    'lxc://h/a/b/debian/trixie': { server: 'https://h/a/b', selector: image },
    'lxc://h/a//debian/trixie/armhf/default/': {
      server: 'https://h/a',
      selector: { ...image, arch: 'armhf' },
    },
    'lxc://h/amd64/debian/trixie': { server: 'https://h/amd64', selector: image },
  };
  for (const [location, expected] of Object.entries(cases))
    assert.deepEqual(parseLxcLocation(location), expected, location);
});

test('a location without server or image is none', () => {
  for (const location of ['lxc:', 'lxc://', 'lxc://h', 'lxc://h/debian', 'lxc:h/debian/trixie'])
    assert.throws(
      () => parseLxcLocation(location),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
      location,
    );
});

test('an index has six fields in each line', () => {
  const line = 'debian;trixie;amd64;default;20260101_05:24;/images/x/';
  assert.equal(parseLxcIndex(`${line}\r\n\n${line}\n`, 'u').length, 2);
  for (const text of [
    '',
    '\n',
    '<html>\n',
    `${line}\ndebian;trix`,
    'a;b;c;d;;f',
    'a;b;c;d;e',
    `a;b;c;d;${'9'.repeat(1000)};f`,
  ])
    assert.throws(
      () => parseLxcIndex(text, 'u'),
      (error) => isCellarError(error, 'E_HTTP_BODY'),
      text,
    );
});

test('a variant matches whole, the newest build wins, and the newer level of the index goes first', async () => {
  await using server = await startImageServer({
    '/meta/1.0/index-system': 'debian;trixie;amd64;default;1;/old/\n',
    '/meta/1.0/index-system.7': [
      'debian;trixie;amd64;default-beta.1;20260301_00:00;/beta/',
      'debian;trixie;amd64;default;20260102_00:00;/new/',
      'debian;trixie;amd64;default;20260101_00:00;/mid/',
      'debian;trixie;vax;default;20260101_00:00;/vax/',
      'debian;trixie;riscv64;default;20260101_00:00;/riscv/',
    ].join('\n'),
  });
  const offers = await look(`lxc+${server.url}/debian/trixie`, { platforms: 'all' });
  assert.deepEqual(
    offers.map(({ platform, parts }) => [platform, parts[0]!.from]),
    [
      ['linux/amd64', { type: 'http', urls: [`${server.url}/new/rootfs.tar.xz`] }],
      ['linux/riscv64', { type: 'http', urls: [`${server.url}/riscv/rootfs.tar.xz`] }],
    ],
  );
  assert.equal(offers[0]!.labels['org.linuxcontainers.build'], '20260102_00:00');
});

test('an index that stayed as it was does not answer for another image', async () => {
  await using server = await startImageServer({
    '/meta/1.0/index-system':
      'debian;trixie;amd64;default;1;/trixie/\ndebian;bookworm;amd64;default;1;/bookworm/\n',
  });
  const [first] = await look(`lxc+${server.url}/debian/trixie`, { platforms: ['linux/amd64'] });
  const other = { platforms: ['linux/amd64'], known: [first!] };
  const [second] = await look(`lxc+${server.url}/debian/bookworm`, other);
  assert.equal(second!.unchanged, undefined);
});

test('a path that leads elsewhere is refused', async () => {
  await using server = await startImageServer({
    '/meta/1.0/index-system': 'debian;trixie;amd64;default;1;/images/../../secret/\n',
  });
  const looked = look(`lxc+${server.url}/debian/trixie`, { platforms: ['linux/amd64'] });
  await assert.rejects(looked, (error) => isCellarError(error, 'E_HTTP_BODY'));
});

async function look(location: string, query: Pick<Query, 'platforms'> & Partial<Query>): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = lxcIndexDriver.open(location, { mirrors: [], http: {} });
  return await source.look({ known: [], ...query }, { client, signal: new AbortController().signal });
}
