/**
 * While the network is what is waited for, the disk has nothing to do: what was unpacked so far is brought to the medium
 * then, so that little is left when the last byte has come.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Transfer } from './parts.ts';

export interface Settling extends AsyncDisposable {
  /** No more of it. @throws E_NO_SPACE, E_QUOTA, E_IO: what was staged may not be there */
  end(): Promise<void>;
}

const everyMs = 1000;
/**
 * Where this thread does something for a larger part of the time than this, the network is no bottleneck. Where it does
 * less, it may also be the thread that unpacks zstd which is waited for; syncing costs nothing then either.
 */
const busy = 0.5;

export function settleWhileWaiting({ transaction }: Pick<Transfer, 'transaction'>): Settling {
  const over = new AbortController();
  const work = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const before = performance.eventLoopUtilization();
      // Nobody waits for this alone.
      await sleep(everyMs, undefined, { signal: over.signal, ref: false }).catch(() => undefined);
      if (over.signal.aborted) return;
      if (performance.eventLoopUtilization(before).utilization < busy) await transaction.settle();
    }
  };
  const working = work();
  working.catch(() => undefined); // told by end()
  return {
    async end() {
      over.abort();
      await working;
    },
    async [Symbol.asyncDispose]() {
      over.abort();
      await working.catch(() => undefined);
    },
  };
}
