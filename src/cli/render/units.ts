/** Numbers for people: sizes, durations and ages in the unit that fits. */
import { formatDuration } from '../../core/quantity.ts';

export { count, formatBytes, formatCount, formatDuration } from '../../core/quantity.ts';

const ages = [
  [365 * 86400, 'year'],
  [30 * 86400, 'month'],
  [7 * 86400, 'week'],
  [86400, 'day'],
  [3600, 'hour'],
  [60, 'minute'],
] as const;

/** How long ago `at` was (milliseconds since the epoch): `3 hours ago`. */
export function formatAge(at: number, now = Date.now()): string {
  const seconds = Math.max(0, (now - at) / 1000);
  for (const [length, name] of ages) {
    const count = Math.floor(seconds / length);
    if (count >= 1) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return 'just now';
}

/** How long a command took, from milliseconds: `82 ms`, `0.3 s`, `2 min 05 s`. */
export function formatElapsed(milliseconds: number): string {
  return milliseconds < 99.5 ? `${Math.round(milliseconds)} ms` : formatDuration(milliseconds / 1000);
}

/** Milliseconds since the epoch as `2026-03-01 12:00:00Z`. */
export function formatTime(at: number): string {
  return new Date(at)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z');
}
