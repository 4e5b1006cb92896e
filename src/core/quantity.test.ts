import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseBytes, parseCount, parseDuration, parsePositive, timerOf } from './quantity.ts';

test('sizes, times and counts are read as they are written', () => {
  assert.deepEqual(['10G', '512MiB', '1.5k', '7', '0'].map(parseBytes), [10 * 2 ** 30, 2 ** 29, 1536, 7, 0]);
  assert.deepEqual(['10GB', '64kB', '7B'].map(parseBytes), [1e10, 64e3, 7]);
  assert.deepEqual(['-1', '1X', '', 'G', '1e9', '99999999T'].map(parseBytes), Array(6).fill(undefined));
  assert.deepEqual(
    ['90s', '15m', '12h', '7d', '2w', '1y', '0'].map(parseDuration),
    [9e4, 9e5, 432e5, 6048e5, 12096e5, 31536e6, 0],
  );
  assert.deepEqual(['5', 'h', '-1d', '1x'].map(parseDuration), Array(4).fill(undefined));
  assert.deepEqual(['3', '-3', '3.5', '1'.repeat(16)].map(parseCount), [3, undefined, undefined, undefined]);
  assert.deepEqual(['1', '0', 'x'].map(parsePositive), [1, undefined, undefined]);
});

test('a timer is no longer than Node takes, and 0 is the longest', () => {
  assert.deepEqual([30_000, 0, 365 * 86_400_000].map(timerOf), [30_000, 2 ** 31 - 1, 2 ** 31 - 1]);
});
