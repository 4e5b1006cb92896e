/** One request may be tried several times; each failure is told as an event, and the last error says why they failed. */
import { CellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { redact } from '../core/redact.ts';
import { backoff } from './retry.ts';
import type { Timing } from './timing.ts';

/** How an attempt fails, and whether trying again makes sense. Never leaves this floor. */
export class Failed extends Error {
  readonly error: CellarError;
  readonly again: boolean;
  /** Milliseconds the server asks to wait. */
  readonly retryAfter: number | undefined;

  constructor(
    error: CellarError,
    { again, retryAfter }: { again: boolean; retryAfter?: number | undefined },
  ) {
    super(error.message, { cause: error });
    this.error = error;
    this.again = again;
    this.retryAfter = retryAfter;
  }
}

export interface Patience {
  readonly url: string;
  readonly retries: number;
  readonly timing: Timing;
  readonly events: EventSink;
  readonly signal: AbortSignal;
}

/**
 * Runs `attempt` until it succeeds, fails for good, or `retries` more attempts were made.
 * @throws the error itself when it is final or the only one; E_HTTP_ATTEMPTS; E_CANCELLED
 */
export async function withAttempts<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  const { url, retries, timing, events, signal } = patience;
  const problems: string[] = [];
  for (let made = 1; ; made++) {
    if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
    try {
      return await attempt();
    } catch (thrown) {
      if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
      if (!(thrown instanceof Failed)) throw thrown;
      const { error, again } = thrown;
      const problem = problemOf(error, url);
      problems.push(problem);
      const last = !again || made > retries;
      const waitMs = last ? undefined : (thrown.retryAfter ?? backoff(made, timing.random));
      tellAttempt(events, { url, attempt: made, of: retries + 1, problem, waitMs });
      if (waitMs === undefined) throw again && made > 1 ? attemptsError(url, problems, error) : error;
      await timing.sleep(waitMs, signal);
    }
  }
}

/** The message without the URL it begins with: lists of attempts name that once. */
export function problemOf(error: CellarError, url: string): string {
  const prefix = `${redact(url)} `;
  return error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
}

/** `attempts` are kept one by one for programs; the message gives each reason once. */
export function attemptsError(url: string, attempts: readonly string[], cause: unknown): CellarError {
  const reasons = counted(attempts);
  return new CellarError('E_HTTP_ATTEMPTS', {
    details: { url, count: attempts.length, reasons, attempts },
    cause,
  });
}

/** Each of them once, in the order of their first appearance, with how often it came where that is more than once. */
function counted(problems: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const problem of problems) counts.set(problem, (counts.get(problem) ?? 0) + 1);
  return [...counts].map(([problem, count]) => (count === 1 ? problem : `${problem} (${count} times)`));
}

export function tellAttempt(
  events: EventSink,
  made: { url: string; attempt: number; of: number; problem: string; waitMs: number | undefined },
): void {
  const { url, attempt, of, problem, waitMs } = made;
  const wait = waitMs === undefined ? {} : { waitMs };
  events({ type: 'attempt', url: redact(url), attempt, of, problem: redact(problem), ...wait });
}
