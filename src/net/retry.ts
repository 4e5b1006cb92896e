/** How long to wait before the next attempt: exponential with full jitter, unless the server says when. */

const firstMs = 500;
const mostMs = 30_000;
/** A server may ask for no longer wait than this. */
const mostRetryAfterMs = 60_000;

/** Milliseconds to wait after attempt number `made` (1 is the first). Full jitter: anything from 0 to the bound. */
export function backoff(made: number, random: () => number): number {
  return Math.round(random() * Math.min(mostMs, firstMs * 2 ** (made - 1)));
}

/**
 * Milliseconds of a `Retry-After` header (RFC 9110, 10.2.3: seconds or a date), at most {@link mostRetryAfterMs}.
 * A date is compared with the server's own clock where it tells it. `undefined` when there is none that makes sense.
 */
export function retryAfter(headers: Readonly<Record<string, string>>): number | undefined {
  const text = headers['retry-after']?.trim();
  if (text === undefined || text === '') return undefined;
  if (/^\d+$/.test(text)) return Math.min(mostRetryAfterMs, Number(text) * 1000);
  const [at, serverNow] = [Date.parse(text), Date.parse(headers['date'] ?? '')];
  if (Number.isNaN(at)) return undefined;
  return Math.min(mostRetryAfterMs, Math.max(0, at - (Number.isNaN(serverNow) ? Date.now() : serverNow)));
}

/** Statuses that may pass: the server's trouble, or "not now". */
export function isPassing(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}
