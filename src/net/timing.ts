/** Waiting, chance and clocks in one place, so that tests of patience need none. */
import { setTimeout as delay } from 'node:timers/promises';
import { CellarError } from '../core/errors.ts';

export interface Timing {
  /** @throws E_CANCELLED when the signal fires */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
  /** 0 ≤ x < 1. */
  random(): number;
  /** Milliseconds, monotonic. */
  now(): number;
}

export const systemTiming: Timing = {
  async sleep(ms, signal) {
    try {
      await delay(ms, undefined, { signal });
    } catch (error) {
      throw new CellarError('E_CANCELLED', { cause: error });
    }
  },
  random: Math.random,
  now: () => performance.now(),
};
