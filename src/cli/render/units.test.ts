import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatAge,
  formatBytes,
  formatCount,
  formatDuration,
  parseBytes,
  parseCount,
  parseDuration,
} from './units.ts';

test('sizes keep two or three digits and never show 1024 of a unit', () => {
  const shown = [0, 1, 1023, 1024, 1536, 1024 ** 2 - 1, 1.1 * 2 ** 30, 150 * 2 ** 20, 3 * 2 ** 60].map(
    formatBytes,
  );
  assert.deepEqual(shown, [
    '0 B',
    '1 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 MiB',
    '1.1 GiB',
    '150 MiB',
    '3072 PiB',
  ]);
});

test('durations and ages take the unit that fits', () => {
  assert.deepEqual([0.84, 12.3, 200, 7500].map(formatDuration), [
    '0.8 s',
    '12 s',
    '3 min 20 s',
    '2 h 05 min',
  ]);
  assert.equal(formatAge(1000, 30_000), 'just now');
  assert.equal(formatAge(0, 3_600_000), '1 hour ago');
  assert.equal(formatAge(0, 3 * 86_400_000), '3 days ago');
  assert.equal(formatCount(1234567), '1,234,567');
});

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
});
