/** At most so many connections at a time; who waits gets its turn in order. */
import { CellarError } from '../core/errors.ts';

export interface Semaphore {
  /** Resolves to the function that gives the place back; calling it twice does no harm. @throws E_CANCELLED */
  acquire(signal: AbortSignal): Promise<() => void>;
}

export function createSemaphore(places: number): Semaphore {
  let free = places;
  const waiting = new Set<() => void>();
  const give = (): void => {
    const [next] = waiting;
    if (next === undefined) free++;
    else next();
  };
  const taken = (): (() => void) => {
    let held = true;
    return () => {
      if (held) give();
      held = false;
    };
  };
  return {
    async acquire(signal) {
      if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
      if (free > 0) {
        free--;
        return taken();
      }
      await new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(turn);
          signal.removeEventListener('abort', cancel);
        };
        const turn = (): void => {
          leave();
          resolve();
        };
        const cancel = (): void => {
          leave();
          reject(new CellarError('E_CANCELLED', { cause: signal.reason }));
        };
        waiting.add(turn);
        signal.addEventListener('abort', cancel, { once: true });
      });
      return taken();
    },
  };
}
