import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError, type CellarError } from '../core/errors.ts';
import { ignoreEvents } from '../core/events.ts';
import { createHttpClient } from '../net/http-client.ts';
import { startImageServer, type ImageServer } from '../../test/support/image-server.ts';
import {
  digests,
  items,
  productsOf,
  streamsIndex,
  type ProductOptions,
} from '../../test/support/simplestreams.ts';
import type { Offer, Query } from './port.ts';
import { parseSimplestreamsLocation, simplestreamsDriver } from './simplestreams.ts';

const file = '/streams/v1/images.json';

test('a location names server, product and version', () => {
  const cases: Record<string, [string, string, string?]> = {
    'simplestreams:https://h/p#debian/12': ['https://h/p', 'debian/12'],
    'simplestreams://h#debian:trixie:default:amd64': ['https://h', 'debian:trixie:default:amd64'],
    'simplestreams+http://h:8080#a@20260101_05:24': ['http://h:8080', 'a', '20260101_05:24'],
    'simplestreams:http://u:p@h#a': ['http://u:p@h', 'a'],
  };
  for (const [location, [server, name, version]] of Object.entries(cases))
    assert.deepEqual(
      parseSimplestreamsLocation(location),
      { server, selector: { name, ...(version === undefined ? {} : { version }) } },
      location,
    );
  const wrong = [
    'simplestreams:',
    'simplestreams:https://h',
    'simplestreams:https://h#',
    'simplestreams:ftp://h#a',
  ];
  for (const location of [
    ...wrong,
    'simplestreams+https:http://h#a',
    'simplestreams://h#a b',
    'simplestreams://h#a@b@c',
  ])
    assert.throws(() => parseSimplestreamsLocation(location), code('E_SOURCE_INVALID'), location);
});

test('metadata is an attachment; sizes, digests, fingerprint and end come from the JSON', async () => {
  await using server = await startServer({ arch: 'amd64' });
  const [offer] = await look(server, 'debian/trixie');
  const url = `${server.url}/images/x/`;
  assert.deepEqual(offer!.parts, [
    {
      role: 'content',
      format: 'tar',
      name: 'root.tar.xz',
      size: 9000,
      sha256: digests.root,
      from: { type: 'http', urls: [`${url}root.tar.xz`] },
    },
    {
      role: 'attachment',
      name: 'incus-metadata.tar.xz',
      size: 900,
      sha256: digests.metadata,
      from: { type: 'http', urls: [`${url}incus.tar.xz`] },
    },
  ]);
  assert.equal(offer!.labels['org.linuxcontainers.fingerprint'], 'e'.repeat(64));
  assert.equal(offer!.expires, Date.UTC(2030, 5, 30) / 1000);
});

const forms: Record<string, [(keyof typeof items)[], Record<string, unknown>]> = {
  'split with squashfs': [['lxd.tar.xz', 'root.squashfs'], { format: 'squashfs', sha256: digests.squashfs }],
  unified: [
    ['lxd_combined.tar.gz', 'disk.qcow2'],
    { format: 'tar', sha256: digests.unified, subpath: 'rootfs' },
  ],
};
for (const [form, [names, expected]] of Object.entries(forms))
  test(`${form}`, async () => {
    await using server = await startServer({ arch: 'amd64', versions: { '20260101': names } });
    const [offer] = await look(server, 'debian/13');
    const content = offer!.parts[0]!;
    for (const [key, value] of Object.entries(expected))
      assert.equal(content[key as keyof typeof content], value);
    assert.match(offer!.labels['org.linuxcontainers.fingerprint']!, form === 'unified' ? /^d+$/ : /^f+$/);
  });

test('the newest version that is a tree wins, one without a date never, and one can be named', async () => {
  const whole = ['incus.tar.xz', 'root.tar.xz'] as const;
  const versions = {
    '20260101_05:24': whole,
    '20260101_10:00': whole,
    '20260102_05:24': ['incus.tar.xz', 'disk.qcow2'] as const,
    release: whole,
  };
  await using server = await startServer({ arch: 'amd64', versions });
  const build = async (selector: string): Promise<string | undefined> =>
    (await look(server, selector))[0]!.labels['org.linuxcontainers.build'];
  assert.equal(await build('debian/13'), '20260101_10:00');
  assert.equal(await build('debian/13@20260101_05:24'), '20260101_05:24');
  for (const version of ['20250101_00:00', '20260102_05:24', 'release'])
    await assert.rejects(build(`debian/13@${version}`), code('E_SOURCE_GONE'));
});

test('a full name, platforms by their architecture, an unknown one passed over', async () => {
  const more = { 'debian:trixie:default:riscv64': productOf('riscv64'), vax: productOf('vax') };
  await using server = await startServer({ arch: 'amd64', more });
  const offers = await look(server, 'debian/13', { platforms: 'all' });
  assert.deepEqual(offers.map(({ platform }) => platform).sort(), ['linux/amd64', 'linux/riscv64']);
  const named = look(server, 'debian:trixie:default:riscv64', { platforms: ['linux/amd64'] });
  await assert.rejects(named, code('E_PLATFORM_UNAVAILABLE'));
});

test('an alias that means several products of a platform is refused, with their names', async () => {
  await using server = await startServer({
    arch: 'amd64',
    more: { 'debian:trixie:cloud:amd64': productOf('amd64') },
  });
  await assert.rejects(look(server, 'debian/13'), (error) => {
    assert.ok(isCellarError(error, 'E_SOURCE_INVALID'));
    assert.match(error.message, /debian:trixie:default:amd64, debian:trixie:cloud:amd64/);
    return true;
  });
});

test('other files and other products may be odd; what is wanted may not', async () => {
  await using server = await startServer({ arch: 'amd64', more: { odd: { aliases: 7 }, odder: null } });
  const entries = { aws: { datatype: 'image-ids', path: 5 }, nothing: null };
  server.files.set('/streams/v1/index.json', JSON.stringify(streamsIndex(entries)));
  assert.equal((await look(server, 'debian/13')).length, 1);
  const breaks: readonly (readonly [RegExp, string])[] = [
    [/"size":9000/, '"size":-1'],
    [/"size":9000/, '"size":1.5'],
    [/"sha256":"b+"/, '"sha256":"bb"'],
    [/images\/x\/root.tar.xz/, '../../root.tar.xz'],
    [/images\/x\/root.tar.xz/, 'https://elsewhere.example/root.tar.xz'],
    [/"release":"trixie"/, '"release":"\\u001b[31m"'],
    [/products:1.0/, 'products:2.0'],
  ];
  const good = String(server.files.get(file));
  for (const [from, to] of breaks) {
    assert.match(good, from);
    server.files.set(file, good.replace(from, to));
    await assert.rejects(look(server, 'debian/13'), code('E_HTTP_BODY'), to);
  }
  for (const path of ['../x.json', 'http://elsewhere.example/x.json']) {
    server.files.set(
      '/streams/v1/index.json',
      JSON.stringify({ format: 'index:1.0', index: { images: { datatype: 'image-downloads', path } } }),
    );
    await assert.rejects(look(server, 'debian/13'), code('E_HTTP_BODY'), path);
  }
});

test('what is wrong with a version counts when it is that version that is wanted', async () => {
  await using server = await startServer({ arch: 'amd64', version: '20260101' });
  const good = JSON.parse(String(server.files.get(file))) as Streams;
  const look1 = async (
    versions: Record<string, unknown>,
    selector = 'debian/13',
  ): Promise<string | undefined> => {
    const changed = structuredClone(good);
    Object.assign(changed.products['debian:trixie:default:amd64']!.versions, versions);
    server.files.set(file, JSON.stringify(changed));
    return (await look(server, selector))[0]!.labels['org.linuxcontainers.build'];
  };
  const broken = { items: { x: { ...items['root.tar.xz'], sha256: 'bb' } } };
  for (const odd of [null, { items: [] }, {}, broken]) {
    assert.equal(await look1({ '20250101': odd }), '20260101');
    assert.equal(await look1({ '20270101': odd }, 'debian/13@20260101'), '20260101');
    await assert.rejects(look1({ '20270101': odd }), code('E_HTTP_BODY'));
  }
  const whole = { items: { a: items['incus.tar.xz'], b: items['root.tar.xz'] } };
  for (const noDay of ['99999999', '20270230', '20271301'])
    assert.equal(await look1({ [noDay]: whole }), '20260101');
});

test('two items of one type are one thing, or nobody knows which is meant', async () => {
  await using server = await startServer({ arch: 'amd64' });
  const twice = (again: object): object => ({
    ...productsOf({ arch: 'amd64' }),
    products: {
      'debian:trixie:default:amd64': {
        ...(productOf('amd64') as object),
        versions: { '20260101': { items: { ...items, again } } },
      },
    },
  });
  server.files.set(file, JSON.stringify(twice(items['root.tar.xz'])));
  assert.equal((await look(server, 'debian/13'))[0]!.parts[0]!.sha256, digests.root);
  server.files.set(file, JSON.stringify(twice({ ...items['root.tar.xz'], path: 'images/y' })));
  await assert.rejects(look(server, 'debian/13'), (error) => {
    assert.ok(isCellarError(error, 'E_HTTP_BODY'));
    assert.match(error.message, /2 different items of type root\.tar\.xz/);
    return true;
  });
});

test('an index that names a file that is not there withdraws nothing; one that names it twice names it once', async () => {
  await using server = await startServer({ arch: 'amd64' });
  const again = { datatype: 'image-downloads', path: 'streams/v1/images.json' };
  server.files.set('/streams/v1/index.json', JSON.stringify(streamsIndex({ again })));
  assert.equal((await look(server, 'debian/13')).length, 1);
  server.files.delete(file);
  await assert.rejects(look(server, 'debian/13'), (error) => {
    assert.ok(isCellarError(error, 'E_HTTP_STATUS'));
    assert.match(error.hint!, /index\.json names it/);
    return true;
  });
});

test('other metadata for the same version and root is something new', async () => {
  await using server = await startServer({ arch: 'amd64' });
  const known = await look(server, 'debian/13');
  const before = String(server.files.get(file));
  server.files.set(file, before.replace('"Debian"', '"Other"'));
  assert.equal((await look(server, 'debian/13', { known }))[0]!.unchanged, true);
  server.files.set(file, before.replaceAll(digests.metadata, '9'.repeat(64)));
  const [offer] = await look(server, 'debian/13', { known });
  assert.equal(offer!.unchanged, undefined);
  assert.deepEqual(
    offer!.parts.map(({ sha256 }) => sha256),
    [digests.root, '9'.repeat(64)],
  );
});

test('a file that stayed as it was does not answer for another alias', async () => {
  await using server = await startServer({ arch: 'amd64' });
  const [first] = await look(server, 'debian/13');
  const [second] = await look(server, 'debian/trixie', { known: [first!] });
  assert.equal(second!.unchanged, undefined);
});

interface Streams {
  readonly products: Record<string, { readonly versions: Record<string, unknown> }>;
}

async function startServer(options: ProductOptions): Promise<ImageServer> {
  return await startImageServer({
    '/streams/v1/index.json': JSON.stringify(streamsIndex()),
    [file]: JSON.stringify(productsOf(options)),
  });
}

/** One with the aliases of all. */
function productOf(arch: string): unknown {
  const { products } = productsOf({ arch }) as { products: Record<string, unknown> };
  return Object.values(products)[0];
}

async function look(server: ImageServer, selector: string, query: Partial<Query> = {}): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = simplestreamsDriver.open(`simplestreams:${server.url}#${selector}`, {
    mirrors: [],
    http: {},
  });
  const asked = { platforms: ['linux/amd64'], known: [], ...query };
  return await source.look(asked, { client, signal: new AbortController().signal });
}

function code(wanted: CellarError['code']): (error: unknown) => boolean {
  return (error) => isCellarError(error, wanted);
}
