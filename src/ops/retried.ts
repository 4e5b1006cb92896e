/** Work that is worth a second try: trouble on the way is, a refusal is not. */
import { setTimeout } from 'node:timers/promises';
import { CellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';

export interface Retries {
  readonly tries: number;
  readonly pauseMs: number;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/** Codes that another try may not meet. */
const passing: ReadonlySet<string> = new Set([
  'E_SOURCE_UNREACHABLE',
  'E_HTTP_STATUS',
  'E_HTTP_UNREACHABLE',
  'E_HTTP_TIMEOUT',
  'E_HTTP_BODY',
  'E_HTTP_ATTEMPTS',
  'E_SOURCE_CHANGED',
]);

/** @throws what the last try threw, E_CANCELLED */
export async function retried<T>(work: () => Promise<T>, options: Retries): Promise<T> {
  const { tries, pauseMs, signal, events } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CellarError) || !passing.has(error.code) || attempt >= tries) throw error;
      events({
        type: 'warning',
        code: error.code,
        text: `${error.message}; trying again in ${pauseMs / 1000} s`,
      });
      await setTimeout(pauseMs, undefined, { signal }).catch((cause: unknown) => {
        throw new CellarError('E_CANCELLED', { cause });
      });
    }
  }
}
