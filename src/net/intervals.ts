/** Which bytes of a file are there, when they come from several connections in pieces. */
export interface Intervals {
  add(start: number, end: number): void;
  /** Bytes from 0 on without a gap. */
  prefix(): number;
  /** The first byte at or after `at` that is missing. */
  missingFrom(at: number): number;
  /** Forgets everything from `at` on. */
  cut(at: number): void;
}

export function createIntervals(): Intervals {
  // Sorted, disjoint and not touching; never more than a handful.
  let parts: { start: number; end: number }[] = [];
  const missingFrom = (at: number): number =>
    parts.find(({ start, end }) => start <= at && at < end)?.end ?? at;
  return {
    add(start, end) {
      if (end <= start) return;
      const touching = parts.filter((part) => part.start <= end && start <= part.end);
      const merged = {
        start: Math.min(start, ...touching.map((part) => part.start)),
        end: Math.max(end, ...touching.map((part) => part.end)),
      };
      parts = [...parts.filter((part) => !touching.includes(part)), merged].sort((a, b) => a.start - b.start);
    },
    prefix: () => missingFrom(0),
    missingFrom,
    cut(at) {
      parts = parts.flatMap(({ start, end }) => (start >= at ? [] : [{ start, end: Math.min(end, at) }]));
    },
  };
}
