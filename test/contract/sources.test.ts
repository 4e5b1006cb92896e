/** What every kind of source promises, whatever it speaks to: the same tests for each driver, against a server made for it. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sourceKindOf } from '../../src/source/drivers.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { ignoreEvents } from '../../src/core/events.ts';
import { hostPlatform } from '../../src/core/platform.ts';
import { createHttpClient } from '../../src/net/http-client.ts';
import { httpDriver } from '../../src/source/http.ts';
import { latestDriver } from '../../src/source/latest.ts';
import { localDriver } from '../../src/source/local.ts';
import { lxcIndexDriver } from '../../src/source/lxc-index.ts';
import { morphDriver } from '../../src/source/morph.ts';
import type { Driver, Offer, Query, Seen } from '../../src/source/port.ts';
import { simplestreamsDriver } from '../../src/source/simplestreams.ts';
import { startImageServer, type ImageServer } from '../support/image-server.ts';

import { productsOf, streamsIndex } from '../support/simplestreams.ts';
import { makeScratch } from '../support/scratch.ts';

interface Setting extends AsyncDisposable {
  /** What a user would write. */
  readonly location: string;
  /** Names of the parts it offers first. */
  readonly parts: readonly string[];
  /** Upstream has something newer from now on. */
  change(): void;
  /** Upstream no longer has it. */
  withdraw(): void;
  /** Where it speaks to one. */
  readonly server?: ImageServer;
  /** How a user names another server that holds the same. */
  readonly mirror?: (server: ImageServer) => string;
  /** It offers images for this platform only. */
  readonly only?: string;
  /** Serves an HTML page where the driver reads an index. */
  readonly spoil?: () => void;
}

const html = '<!DOCTYPE html>\n<html><body>Please log in</body></html>\n';

interface Subject {
  readonly driver: Driver;
  readonly start: () => Promise<Setting>;
  readonly traits: readonly ('remote' | 'index' | 'platforms')[];
}

const subjects: Record<string, Subject> = {
  http: { driver: httpDriver, start: httpSetting, traits: ['remote'] },
  local: { driver: localDriver, start: localSetting, traits: [] },
  lxc: { driver: lxcIndexDriver, start: lxcSetting, traits: ['remote', 'index', 'platforms'] },
  simplestreams: {
    driver: simplestreamsDriver,
    start: simplestreamsSetting,
    traits: ['remote', 'index', 'platforms'],
  },
  latest: { driver: latestDriver, start: latestSetting, traits: ['remote', 'index'] },
  morph: { driver: morphDriver, start: morphSetting, traits: ['remote'] },
};

for (const [name, { driver, start, traits }] of Object.entries(subjects)) {
  const testOf = (trait: Subject['traits'][number], title: string, body: () => Promise<void>): void => {
    if (traits.includes(trait)) test(`${name}: ${title}`, body);
  };

  test(`${name}: it accepts its location, and offers what is there`, async () => {
    await using setting = await start();
    assert.equal(sourceKindOf(setting.location)?.name, driver.name);
    const offers = await look(driver, setting);
    assert.equal(offers.length, 1);
    const offer = offers[0]!;
    assert.equal(offer.platform, setting.only ?? hostPlatform);
    assert.notEqual(offer.revision, '');
    assert.equal(offer.unchanged, undefined);
    assert.deepEqual(offer.parts.map((part) => part.name).sort(), [...setting.parts].sort());
    assert.equal(offer.parts.filter((part) => part.role === 'content').length, 1);
    for (const part of offer.parts) {
      assert.ok(part.size === undefined || (Number.isSafeInteger(part.size) && part.size >= 0));
      assert.ok(!part.name.includes('/'));
    }
  });

  test(`${name}: it knows what it has seen, and what is new`, async () => {
    await using setting = await start();
    const [first] = await look(driver, setting);
    const [again] = await look(driver, setting, { known: [seenOf(first!)] });
    assert.deepEqual([again!.unchanged, again!.parts], [true, []]);
    assert.equal(again!.revision, first!.revision);
    assert.equal(again!.kind, first!.kind);
    setting.change();
    const [newer] = await look(driver, setting, { known: [seenOf(first!)] });
    assert.equal(newer!.unchanged, undefined);
    assert.notEqual(newer!.revision, first!.revision);
    assert.ok(newer!.parts.length > 0);
  });

  test(`${name}: what is gone is told as gone`, async () => {
    await using setting = await start();
    setting.withdraw();
    await assert.rejects(look(driver, setting), (error) => isCellarError(error, 'E_SOURCE_GONE'));
  });

  test(`${name}: for all platforms it offers each once`, async () => {
    await using setting = await start();
    const offers = await look(driver, setting, { platforms: 'all' });
    assert.ok(offers.length > 0);
    assert.equal(new Set(offers.map((offer) => offer.platform)).size, offers.length);
  });

  testOf('platforms', 'a platform that is not there is refused, with those that are', async () => {
    await using setting = await start();
    const wanted = look(driver, setting, { platforms: ['linux/mips64le'] });
    await assert.rejects(wanted, (error) => {
      assert.ok(isCellarError(error, 'E_PLATFORM_UNAVAILABLE'));
      assert.match(error.message, new RegExp(setting.only!));
      return true;
    });
  });

  testOf('remote', 'a server that fails is no server that lacks it; a mirror answers for it', async () => {
    await using setting = await start();
    const server = setting.server!;
    const [offer] = await look(driver, setting);
    server.manners.status = 500;
    await assert.rejects(look(driver, setting), (error) => isCellarError(error, 'E_HTTP_STATUS'));
    await using mirror = await startImageServer(Object.fromEntries(server.files));
    const location = setting.mirror!(mirror);
    const [mirrored] = await look(driver, setting, {}, [location]);
    assert.deepEqual(
      mirrored!.parts.map((part) => part.name),
      offer!.parts.map((part) => part.name),
    );
    for (const part of mirrored!.parts) {
      assert.ok(part.from.type === 'http');
      assert.deepEqual(
        part.from.urls.map((url) => new URL(url).host),
        [mirror.url, server.url].map((url) => new URL(url).host),
      );
    }
    mirror.manners.status = 503;
    await assert.rejects(look(driver, setting, {}, [location]), (error) =>
      isCellarError(error, 'E_SOURCE_UNREACHABLE'),
    );
  });

  testOf('remote', 'no server at all', async () => {
    const setting = await start();
    await setting[Symbol.asyncDispose]();
    await assert.rejects(look(driver, setting), (error) => isCellarError(error, 'E_HTTP_UNREACHABLE'));
  });

  testOf('index', 'a page where an index should be is refused', async () => {
    await using setting = await start();
    setting.spoil!();
    await assert.rejects(look(driver, setting), (error) => isCellarError(error, 'E_HTTP_BODY'));
  });

  testOf('remote', 'a check that finds nothing new reads headers alone', async () => {
    await using setting = await start();
    const server = setting.server!;
    const [first] = await look(driver, setting);
    server.requests.length = 0;
    await look(driver, setting, { known: [seenOf(first!)] });
    const bodies = server.requests.filter(
      ({ line, status }) => line.startsWith('GET') && status === 200 && !line.endsWith('index.json'),
    );
    assert.deepEqual(bodies, []);
  });
}

async function look(
  driver: Driver,
  setting: Setting,
  query: Partial<Query> = {},
  mirrors: readonly string[] = [],
): Promise<Offer[]> {
  await using client = createHttpClient({ retries: 0 }, { events: ignoreEvents, environment: {} });
  await using source = driver.open(setting.location, { mirrors, http: {} });
  const platforms = query.platforms ?? [setting.only ?? hostPlatform];
  const signal = new AbortController().signal;
  return await source.look({ platforms, known: query.known ?? [] }, { client, signal });
}

/** What is remembered of a look. */
function seenOf({ platform, revision, etag, lastModified }: Offer): Seen {
  return {
    platform,
    revision,
    ...(etag === undefined ? {} : { etag }),
    ...(lastModified === undefined ? {} : { lastModified }),
  };
}

async function httpSetting(): Promise<Setting> {
  const server = await startImageServer({ '/images/rootfs.tar.xz': 'one' });
  return {
    server,
    location: `${server.url}/images/rootfs.tar.xz`,
    mirror: ({ url }) => `${url}/images/`,
    parts: ['rootfs.tar.xz'],
    change: () => void server.files.set('/images/rootfs.tar.xz', 'another'),
    withdraw: () => server.files.clear(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function localSetting(): Promise<Setting> {
  const scratch = makeScratch('local-source');
  const path = join(scratch.path, 'rootfs.tar');
  writeFileSync(path, 'one');
  return {
    location: `file:${path}`,
    parts: ['rootfs.tar'],
    change: () => writeFileSync(path, 'another'),
    withdraw: () => rmSync(path),
    async [Symbol.asyncDispose]() {
      scratch[Symbol.dispose]();
    },
  };
}

async function lxcSetting(): Promise<Setting> {
  const index = '/prefix/meta/1.0/index-system';
  const line = (build: string): string =>
    `debian;trixie;arm64;default;${build};/images/debian/trixie/arm64/default/${build}/\n`;
  const server = await startImageServer({ [index]: line('20260101_05:24') });
  const location = `lxc+${server.url}/prefix/debian/trixie`;
  return {
    server,
    location,
    mirror: ({ url }) => `${url}/prefix`,
    only: 'linux/arm64',
    parts: ['rootfs.tar.xz', 'lxc-meta.tar.xz'],
    change: () => void server.files.set(index, line('20260102_05:24')),
    withdraw: () => void server.files.set(index, line('20260101_05:24').replace('trixie', 'forky')),
    spoil: () => void server.files.set(index, html),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function simplestreamsSetting(): Promise<Setting> {
  const path = '/streams/v1/images.json';
  const products = (version: string): string => JSON.stringify(productsOf({ arch: 'arm64', version }));
  const server = await startImageServer({
    '/streams/v1/index.json': JSON.stringify(streamsIndex()),
    [path]: products('20260101_05:24'),
  });
  return {
    server,
    location: `simplestreams:${server.url}#debian/13`,
    mirror: ({ url }) => url,
    only: 'linux/arm64',
    parts: ['root.tar.xz', 'incus-metadata.tar.xz'],
    change: () => void server.files.set(path, products('20260102_05:24')),
    withdraw: () => void server.files.set(path, products('none')),
    spoil: () => void server.files.set(path, html),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function morphSetting(): Promise<Setting> {
  const name = `${'0123456789abcdef'.repeat(4)}.chunk.busybox`;
  const path = `/cache/1.0/artifacts?filename=${name}`;
  const server = await startImageServer({ [path]: 'one', [`${path}.meta`]: '{}' });
  return {
    server,
    location: `morph:${server.url}/cache#${name}`,
    mirror: ({ url }) => `${url}/cache`,
    parts: [name, 'morph.meta'],
    change: () => void server.files.set(path, 'another'),
    withdraw: () => server.files.clear(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

async function latestSetting(): Promise<Setting> {
  const path = '/releases/SHA256SUMS';
  const line = (name: string): string => `${'0123456789abcdef'.repeat(4)}  ${name}\n`;
  const server = await startImageServer({ [path]: line('rootfs-1.9.tar.xz') });
  return {
    server,
    location: `latest:${server.url}/releases/?rootfs-.*`,
    mirror: ({ url }) => `${url}/releases/`,
    parts: ['rootfs-1.9.tar.xz'],
    change: () => void server.files.set(path, line('rootfs-1.9.tar.xz') + line('rootfs-1.10.tar.xz')),
    withdraw: () => void server.files.set(path, line('other')),
    spoil: () => void server.files.set(path, html),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
