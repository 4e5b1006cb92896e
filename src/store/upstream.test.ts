import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseReference } from '../core/reference.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { inStore } from './layout.ts';
import { downloadKey } from './downloads.ts';
import { openStore } from './store.ts';
import {
  freshness,
  isDue,
  listUpstream,
  noteLook,
  planUpstream,
  upstreamRow,
  type UpstreamRow,
} from './upstream.ts';

const hour = 3_600_000;
const row: UpstreamRow = {
  source: 'https://example.org/a.tar',
  seen: [{ platform: 'linux/amd64', revision: 'one', image: 'a'.repeat(64) }],
  checked: 100 * hour,
};

test('what was never seen is unknown and due', () => {
  assert.equal(freshness(undefined, 0), 'unknown');
  assert.equal(isDue(undefined, 0), true);
});

test('without an interval an image stays fresh and never falls due', () => {
  assert.equal(freshness(row, 10_000 * hour), 'fresh');
  assert.equal(isDue(row, 10_000 * hour), false);
});

test('an interval that has passed makes it stale; a clock put back does too', () => {
  const hourly = { ...row, refresh: hour };
  assert.equal(freshness(hourly, 101 * hour - 1), 'fresh');
  assert.equal(freshness(hourly, 101 * hour), 'stale');
  assert.equal(freshness(hourly, 99 * hour), 'stale');
});

test('expiry is in seconds, and comes at that very second', () => {
  const expiring = { ...row, expires: 101 * 3600 };
  assert.equal(freshness(expiring, 101 * hour - 1), 'fresh');
  assert.equal(freshness(expiring, 101 * hour), 'expired');
  assert.equal(isDue(expiring, 101 * hour), true);
});

test('a failed look makes it stale, a withdrawn image is gone', () => {
  const failed = { ...row, failed: { at: 101 * hour, code: 'E_HTTP_TIMEOUT', problem: 'slow' } };
  assert.equal(freshness(failed, 101 * hour), 'stale');
  assert.equal(freshness({ ...row, gone: true }, 101 * hour), 'gone');
  const asked = { ...row, failed: { ...failed.failed, sameOffer: true } } as const;
  assert.equal(freshness(asked, 101 * hour), 'fresh');
  assert.equal(freshness({ ...asked, refresh: hour }, 101 * hour), 'stale');
});

test('a look that saw nothing new is remembered without a row, and a later row outdoes it', () => {
  using scratch = makeScratch('upstream');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const reference = parseReference('a');
  store.rows.write([planUpstream(reference, row)]);
  const written = readFileSync(inStore(store.root, 'journal'), 'utf8');
  noteLook(store, reference, 103 * hour + 1);
  assert.deepEqual(upstreamRow(store, reference), { ...row, checked: 103 * hour + 1 });
  assert.deepEqual(listUpstream(store), [{ reference, row: { ...row, checked: 103 * hour + 1 } }]);
  assert.equal(readFileSync(inStore(store.root, 'journal'), 'utf8'), written);
  store.rows.write([planUpstream(reference, { ...row, checked: 104 * hour })]);
  assert.equal(upstreamRow(store, reference)?.checked, 104 * hour);
});

test('a look that cannot be noted is as if there had been none', () => {
  using scratch = makeScratch('upstream');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const reference = parseReference('a');
  store.rows.write([planUpstream(reference, row)]);
  const inTheWay = join(inStore(store.root, 'downloads'), `${downloadKey(reference)}.looked`);
  mkdirSync(inTheWay, { recursive: true });
  utimesSync(inTheWay, 1, 1);
  noteLook(store, reference, 103 * hour);
  assert.deepEqual(upstreamRow(store, reference), row);
});
