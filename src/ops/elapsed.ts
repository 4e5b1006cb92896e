/** How long a verb took, told by all of them alike. */

/** Whole milliseconds since a moment of `performance.now()`. */
export function elapsedSince(started: number): number {
  return Math.round(performance.now() - started);
}
