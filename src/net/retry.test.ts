import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoff, isPassing, retryAfter } from './retry.ts';

test('waits grow, and are anything up to their bound', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 20].map((made) => backoff(made, () => 1)),
    [500, 1000, 2000, 4000, 30_000],
  );
  assert.equal(
    backoff(5, () => 0),
    0,
  );
});

test('Retry-After: seconds, a date by the clock of the server, and no more than a minute', () => {
  assert.equal(retryAfter({}), undefined);
  assert.equal(retryAfter({ 'retry-after': '3' }), 3000);
  assert.equal(retryAfter({ 'retry-after': '86400' }), 60_000);
  assert.equal(retryAfter({ 'retry-after': 'soon' }), undefined);
  const date = 'Wed, 21 Oct 2026 07:28:00 GMT';
  assert.equal(retryAfter({ 'retry-after': 'Wed, 21 Oct 2026 07:28:10 GMT', date }), 10_000);
  assert.equal(retryAfter({ 'retry-after': date, date: 'Wed, 21 Oct 2026 07:28:10 GMT' }), 0);
});

test('what may pass', () => {
  assert.deepEqual([400, 404, 408, 410, 429, 500, 503].filter(isPassing), [408, 429, 500, 503]);
});
