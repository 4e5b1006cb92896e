/**
 * The bytes of a response as they come, under watch: silence, a drip that would never end, fewer bytes than promised
 * and the source's rate limit. Nothing is decoded; what a digest names is what travels.
 */
import type { IncomingMessage } from 'node:http';
import { CellarError } from '../core/errors.ts';
import { Failed } from './attempts.ts';
import { silence, wireFailure } from './problems.ts';
import type { RateLimit } from './rate-limit.ts';
import { giveBack, receiverOf } from './receiving.ts';

export interface RawBody {
  readonly message: IncomingMessage;
  /** What became of the connection, where it says more than the message does. */
  readonly failure: () => Error | undefined;
}

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
 * A chunk is good until the next is asked for. Time in which the reader is busy with a chunk does not count.
 * @throws E_HTTP_TIMEOUT, E_HTTP_UNREACHABLE, E_HTTP_BODY when it ends early, E_CANCELLED
 */
export async function* watchBody(raw: RawBody, watch: Watch): AsyncGenerator<Buffer, void, undefined> {
  const { url, timeout, promised, limit, signal } = watch;
  const { message } = raw;
  const receiver = receiverOf(message.socket);
  receiver?.begin(message);
  let timedOut: number | undefined;
  let waiting = false;
  const timer = setTimeout(() => {
    if (!waiting) return;
    timedOut = timeout;
    message.destroy(new Error('idle'));
  }, timeout);
  let received = 0;
  let dripped = { bytes: 0, ms: 0 };
  try {
    const next = reader(raw);
    for (;;) {
      const began = performance.now();
      waiting = true;
      timer.refresh();
      const chunk = await next();
      waiting = false;
      if (chunk === undefined) break;
      received += chunk.length;
      dripped = {
        bytes: dripped.bytes + chunk.length,
        ms: dripped.ms + performance.now() - began,
      };
      if (dripped.bytes >= dripBytes) dripped = { bytes: 0, ms: 0 };
      else if (dripped.ms > dripTimeouts * timeout)
        throw silence(url, { ms: dripTimeouts * timeout, sent: 'next to nothing' });
      await limit.take(chunk.length, signal);
      const { length } = chunk;
      yield chunk;
      giveBack(chunk);
      receiver?.done(length);
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
    receiver?.end();
    // Whoever stops early leaves a connection that nobody can use any more.
    if (!message.readableEnded) message.destroy();
  }
}

function endedEarly(url: string, received: number, promised: number, cause?: unknown): CellarError {
  const problem = `it ended after ${received} of ${promised} bytes`;
  return new CellarError('E_HTTP_BODY', { details: { url, problem }, cause });
}

/** Chunk after chunk, as they are read from the connection; `undefined` at the end. */
function reader({ message, failure }: RawBody): () => Promise<Buffer | undefined> {
  let wake = (): void => undefined;
  for (const event of ['readable', 'end', 'error', 'close']) message.on(event, () => wake());
  return async () => {
    for (;;) {
      const chunk = message.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (message.readableEnded) return undefined;
      if (message.errored !== null) throw failure() ?? message.errored;
      if (message.destroyed) throw new Error('the connection was closed');
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
}

/** An orderly end at the wrong place, as opposed to a reset. */
function isEnd(error: unknown): boolean {
  return error instanceof Error && error.message === 'aborted';
}
