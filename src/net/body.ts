/**
 * The bytes of a response as they come, under watch: silence, a drip that would never end, fewer bytes than promised
 * and the source's rate limit. Nothing is decoded; what a digest names is what travels.
 */
import type { Dispatcher } from 'undici';
import { CellarError } from '../core/errors.ts';
import { Failed } from './attempts.ts';
import { silence, wireFailure } from './problems.ts';
import type { RateLimit } from './rate-limit.ts';

export type RawBody = Dispatcher.ResponseData['body'];

export interface Watch {
  readonly url: string;
  /** Milliseconds without a byte. */
  readonly timeout: number;
  /** What the server said the length is. */
  readonly promised: number | undefined;
  readonly limit: RateLimit;
  readonly signal: AbortSignal;
}

/** Fewer bytes than this in {@link dripTimeouts} timeouts of waiting is no progress. */
const dripBytes = 1024;
const dripTimeouts = 4;

/**
 * Time in which the reader is busy with a chunk does not count.
 * @throws E_HTTP_TIMEOUT, E_HTTP_UNREACHABLE, E_HTTP_BODY when it ends early, E_CANCELLED
 */
export async function* watchBody(raw: RawBody, watch: Watch): AsyncGenerator<Buffer, void, undefined> {
  const { url, timeout, promised, limit, signal } = watch;
  let timedOut: number | undefined;
  let waiting = false;
  const timer = setTimeout(() => {
    if (!waiting) return;
    timedOut = timeout;
    raw.destroy(new Error('idle'));
  }, timeout);
  let received = 0;
  let dripped = { bytes: 0, ms: 0 };
  try {
    const chunks = raw[Symbol.asyncIterator]() as AsyncIterator<Buffer, void>;
    for (;;) {
      const began = performance.now();
      waiting = true;
      timer.refresh();
      const next = await chunks.next();
      waiting = false;
      if (next.done === true) break;
      received += next.value.length;
      dripped = {
        bytes: dripped.bytes + next.value.length,
        ms: dripped.ms + performance.now() - began,
      };
      if (dripped.bytes >= dripBytes) dripped = { bytes: 0, ms: 0 };
      else if (dripped.ms > dripTimeouts * timeout)
        throw silence(url, { ms: dripTimeouts * timeout, sent: 'next to nothing' });
      await limit.take(next.value.length, signal);
      yield next.value;
    }
    if (promised !== undefined && received !== promised) throw endedEarly(url, received, promised);
  } catch (error) {
    const failure = wireFailure(error, { url, signal, timedOut });
    if (!(failure instanceof Failed)) throw failure;
    if (timedOut === undefined && promised !== undefined && isEnd(error))
      throw endedEarly(url, received, promised, error);
    throw failure.error;
  } finally {
    clearTimeout(timer);
    // Whoever stops early leaves a connection that nobody can use any more.
    if (!raw.destroyed) raw.on('error', () => undefined).destroy();
  }
}

function endedEarly(url: string, received: number, promised: number, cause?: unknown): CellarError {
  const problem = `it ended after ${received} of ${promised} bytes`;
  return new CellarError('E_HTTP_BODY', { details: { url, problem }, cause });
}

/** An orderly end at the wrong place, as opposed to a reset. */
function isEnd(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'UND_ERR_SOCKET' || code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';
}
