import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatAge, formatBytes, formatCount, formatDuration } from './units.ts';

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
