/**
 * The HTTP client of one source. It adds what a source is configured with (proxy, trust, credentials, pace) to
 * Node's connections and tries again what may pass; redirects are followed here, under rules of trust.
 */
import type { IncomingMessage } from 'node:http';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { timerOf } from '../core/quantity.ts';
import { Failed, withAttempts } from './attempts.ts';
import { watchBody, type RawBody } from './body.ts';
import type { HttpClient, HttpOptions, HttpRequest, HttpResponse, SmallResponse } from './port.ts';
import { firstHop, type Hop } from './hop.ts';
import { neverSent, proxyRefuses, wireFailure } from './problems.ts';
import type { Environment } from '../core/environment.ts';
import { createRateLimit } from './rate-limit.ts';
import { follow, isRedirect } from './redirect.ts';
import { isPassing, retryAfter } from './retry.ts';
import { createRoutes, type Begin } from './routes.ts';
import { createSemaphore } from './semaphore.ts';
import { systemTiming, type Timing } from './timing.ts';
import { lengthOf } from './version.ts';

export interface ClientSurroundings {
  readonly events: EventSink;
  /** Where the proxy variables are; default this process's. */
  readonly environment?: Environment;
  readonly timing?: Timing;
  /**
   * Whom the client's own credentials, headers and client certificate are for; everybody else is foreign, and nobody
   * here. Without it each request says so.
   */
  readonly origin?: string | undefined;
}

const defaultTimeout = 30_000;
const defaultRetries = 4;
const defaultConcurrency = 4;
const defaultSmall = 1 << 20;
/** Reading this much of an unwanted body is cheaper than a new connection. */
const dumpBytes = 64 << 10;

/** Dispose it to break its connections. A response holds one of them until its body was read or discarded. */
export function createHttpClient(options: HttpOptions, surroundings: ClientSurroundings): HttpClient {
  const { events, environment = process.env, timing = systemTiming, origin } = surroundings;
  const { retries = defaultRetries, concurrency = defaultConcurrency } = options;
  const timeout = timerOf(options.timeout ?? defaultTimeout);
  const places = createSemaphore(concurrency);
  const limit = createRateLimit(options.rateLimit, timing);
  const routes = createRoutes(options, { environment, connections: concurrency, timeout });

  const open = async (text: string, request: HttpRequest): Promise<HttpResponse> => {
    const hop = firstHop(text, request, { options, origin });
    return await withAttempts(() => attempt(hop, request), patience(hop, request.signal));
  };

  const patience = ({ url }: Hop, signal: AbortSignal): Parameters<typeof withAttempts>[1] => ({
    url: url.href,
    retries,
    timing,
    events,
    signal,
  });

  /** @throws Failed, E_CANCELLED, E_HTTP_REDIRECT */
  const attempt = async (first: Hop, request: HttpRequest): Promise<HttpResponse> => {
    const release = await places.acquire(request.signal);
    const seen = new Set<string>();
    try {
      for (let hop = first; ;) {
        if (request.signal.aborted) throw new CellarError('E_CANCELLED', { cause: request.signal.reason });
        const response = await send(hop, request.signal, release);
        const { status, headers } = response;
        const wanted = (status >= 200 && status < 300) || request.accept?.includes(status) === true;
        if (wanted) return await usable(response, hop);
        await response.dump();
        if (!isRedirect(status)) throw refusal(hop, status, headers);
        hop = follow(hop, { status, location: headers['location'] }, seen);
      }
    } catch (error) {
      release();
      throw error;
    }
  };

  /** One request and the head of its answer. */
  const send = async (hop: Hop, signal: AbortSignal, release: () => void): Promise<Answer> => {
    const begin = routes.to(hop.url, hop.trusted);
    const controller = new AbortController();
    const url = hop.url.href;
    const cancel = (): void => controller.abort(signal.reason);
    signal.addEventListener('abort', cancel, { once: true });
    const done = (): void => signal.removeEventListener('abort', cancel);
    let timedOut: number | undefined;
    const timer = setTimeout(
      () => {
        timedOut = timeout;
        controller.abort();
      },
      timerOf(timeout + sendingMs(hop)),
    );
    try {
      const raw = await exchange(begin, hop, controller.signal);
      const { statusCode = 0, headers } = raw.message;
      if (statusCode === 407) {
        raw.message.destroy();
        throw new Failed(proxyRefuses(url), { again: false });
      }
      return {
        status: statusCode,
        headers: flat(headers),
        chunks: (promised) => watchBody(raw, { url, timeout, promised, limit, signal }),
        async dump() {
          await dump(raw.message, timeout);
          done();
        },
        finish() {
          done();
          release();
        },
      };
    } catch (error) {
      done();
      const failure = error instanceof Failed ? error : wireFailure(error, { url, signal, timedOut });
      // What may have had an effect is not asked for twice.
      if (failure instanceof Failed && failure.again && !isRepeatable(hop) && !neverSent(failure.error))
        throw new Failed(failure.error, { again: false });
      throw failure;
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    retries,
    concurrency,
    open,
    async small(text, { headers = {}, limit: most = defaultSmall, signal }) {
      const request: HttpRequest = { headers, signal, accept: [404, 410] };
      const hop = firstHop(text, request, { options, origin });
      return await withAttempts(
        async () => await readSmall(await attempt(hop, request), most),
        patience(hop, signal),
      );
    },
    [Symbol.asyncDispose]() {
      routes.destroy();
      return Promise.resolve();
    },
  };
}

/** Sends a request; resolves when the head of the answer is there. @throws what the connection met */
async function exchange(begin: Begin, hop: Hop, signal: AbortSignal): Promise<RawBody> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  let failure: Error | undefined;
  const request = begin({ method: hop.method, headers: hop.headers, signal });
  request.once('response', resolve);
  request.on('error', (error) => {
    failure = error;
    reject(error);
  });
  request.end(hop.body);
  const message = await promise;
  message.on('error', () => undefined);
  return { message, failure: () => failure };
}

/** Reads a short body to its end, and breaks the connection of a long one. */
async function dump(message: IncomingMessage, timeout: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(() => message.destroy(), timeout);
  let length = 0;
  message.once('close', resolve);
  message.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > dumpBytes) message.destroy();
  });
  if (message.destroyed) resolve();
  await promise;
  clearTimeout(timer);
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  chunks(promised: number | undefined): AsyncGenerator<Buffer, void, undefined>;
  /** Reads a short body so that the connection can serve again, breaks a long one. */
  dump(): Promise<void>;
  /** Gives the connection's place to the next. */
  finish(): void;
}

/** @throws Failed with E_HTTP_BODY when the body was encoded on the way */
async function usable(answer: Answer, { url, method }: Hop): Promise<HttpResponse> {
  const { status, headers } = answer;
  const head = { status, url: url.href, headers };
  const promised = lengthOf(headers);
  if (method === 'HEAD' || status === 204 || status === 304 || promised === 0) {
    await answer.dump();
    answer.finish();
    return { ...head, body: nothing(), discard: () => Promise.resolve() };
  }
  const encoding = encodingOf(headers);
  if (encoding !== undefined) {
    await answer.dump();
    const problem = `it is encoded with ${encoding}, though that was not asked for`;
    throw final(new CellarError('E_HTTP_BODY', { details: { url: url.href, problem } }));
  }
  let begun = false;
  async function* read(): AsyncGenerator<Buffer, void, undefined> {
    begun = true;
    try {
      yield* answer.chunks(promised);
    } finally {
      answer.finish();
    }
  }
  const body = read();
  return {
    ...head,
    body,
    async discard() {
      if (begun) return void (await body.return());
      begun = true;
      await answer.dump();
      answer.finish();
    },
  };
}

async function readSmall(response: HttpResponse, limit: number): Promise<SmallResponse | undefined> {
  const { status, url, headers } = response;
  if (status === 404 || status === 410) {
    await response.discard();
    return undefined;
  }
  const tooLarge = (): Failed => {
    const problem = `it has more than ${limit} bytes`;
    return final(new CellarError('E_HTTP_BODY', { details: { url, problem } }));
  };
  if ((lengthOf(headers) ?? 0) > limit) {
    await response.discard();
    throw tooLarge();
  }
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body) {
      length += chunk.length;
      if (length > limit) throw tooLarge();
      chunks.push(Buffer.from(chunk));
    }
  } catch (error) {
    if (isCellarError(error) && error.retryable) throw new Failed(error, { again: true });
    throw error;
  }
  return { bytes: Buffer.concat(chunks), url, headers };
}

function refusal(hop: Hop, status: number, headers: Readonly<Record<string, string>>): Failed {
  const url = hop.url.href;
  if (status === 401 || status === 403)
    return final(new CellarError('E_AUTHENTICATION', { details: { url, status } }));
  const name = process.getBuiltinModule('node:http').STATUS_CODES[status];
  const problem = name === undefined ? '' : ` ${name}`;
  const again = isPassing(status) && (isRepeatable(hop) || status === 429 || status === 503);
  return new Failed(new CellarError('E_HTTP_STATUS', { details: { url, status, problem } }), {
    again,
    retryAfter: retryAfter(headers),
  });
}

function final(error: CellarError): Failed {
  return new Failed(error, { again: false });
}

/** What a slow line may need to send the body, before it is the server's turn to say something. */
function sendingMs({ body }: Hop): number {
  return (body?.length ?? 0) / 16;
}

/** RFC 9110, 9.2.2: asking twice is as good as once. */
function isRepeatable({ method }: Hop): boolean {
  return method !== 'POST' && method !== 'PATCH';
}

function encodingOf(headers: Readonly<Record<string, string>>): string | undefined {
  const content = headers['content-encoding']?.trim().toLowerCase() ?? '';
  if (content !== '' && content !== 'identity') return content;
  const transfer = headers['transfer-encoding']?.trim().toLowerCase() ?? '';
  return transfer === '' || transfer === 'chunked' || transfer === 'identity' ? undefined : transfer;
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [[name.toLowerCase(), Array.isArray(value) ? value.join(', ') : value] as const],
    ),
  );
}

async function* nothing(): AsyncGenerator<Buffer, void, undefined> {}
