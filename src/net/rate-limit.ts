/** A bound on bytes per second over all connections of a client: a token bucket that may run into debt. */
import type { Timing } from './timing.ts';

export interface RateLimit {
  /** Waits until `bytes` that have arrived are within the rate. @throws E_CANCELLED */
  take(bytes: number, signal: AbortSignal): Promise<void>;
}

/** What may come at once after a pause, in milliseconds of the rate. */
const burstMs = 250;

export function createRateLimit(bytesPerSecond: number | undefined, timing: Timing): RateLimit {
  if (bytesPerSecond === undefined || bytesPerSecond === 0) return { take: () => Promise.resolve() };
  // The moment at which all that was taken would have arrived at the even rate.
  let paidUntil = timing.now() - burstMs;
  return {
    async take(bytes, signal) {
      const now = timing.now();
      paidUntil = Math.max(paidUntil, now - burstMs) + (bytes / bytesPerSecond) * 1000;
      if (paidUntil > now) await timing.sleep(paidUntil - now, signal);
    },
  };
}
