/** The small questions that drivers ask: has this changed, and which of several places answers. */
import { randomUUID } from 'node:crypto';
import { CellarError, isCellarError } from '../core/errors.ts';
import { hostPlatform, type Platform } from '../core/platform.ts';
import type { HttpResponse } from '../net/port.ts';
import type { Offer, Query, Seen, Surroundings } from './port.ts';
import { junk } from './location.ts';

export type Validators = Pick<Seen, 'etag' | 'lastModified'>;

export type Headers =
  | { readonly state: 'gone' }
  | { readonly state: 'unchanged' }
  /** `size` in bytes, where the server says it. */
  | { readonly state: 'there'; readonly size?: number; readonly validators: Validators };

/**
 * What the headers of a file say, without its content: HEAD, or the first byte where a server refuses HEAD. With
 * what was `known` the question is conditional.
 * @throws what `HttpClient.open` does, E_HTTP_BODY
 */
export async function askHeaders(
  url: string,
  { client, signal }: Surroundings,
  known?: Validators,
): Promise<Headers> {
  const headers = conditions(known);
  const read = (response: HttpResponse): Headers => readHeaders(response, { url, known });
  const head = await client.open(url, {
    method: 'HEAD',
    headers,
    accept: [304, ...absent, ...headRefused],
    signal,
  });
  await head.discard();
  if (!headRefused.includes(head.status)) return read(head);
  const first = await client.open(url, {
    headers: { ...headers, range: 'bytes=0-0' },
    accept: [304, 416, ...absent],
    signal,
  });
  await first.discard();
  return read(first);
}

/** Is an index still what it was when all of these were seen? Asked with headers alone, and not at all without an ETag. */
export async function isUnchanged(
  url: string,
  known: readonly Seen[],
  surroundings: Surroundings,
): Promise<boolean> {
  const etag = known[0]?.etag;
  if (etag === undefined || known.some((seen) => seen.etag !== etag)) return false;
  const answer = await askHeaders(url, surroundings, { etag });
  return answer.state === 'unchanged' || (answer.state === 'there' && answer.validators.etag === etag);
}

/**
 * Asks each of several places that hold the same until one answers; "it is not here" is an answer.
 * @throws what the only place does, E_SOURCE_UNREACHABLE when none of several answers
 */
export async function firstToAnswer<T>(
  places: readonly URL[],
  location: string,
  ask: (place: URL) => Promise<T>,
): Promise<{ answer: T; place: URL; others: URL[] }> {
  const errors: CellarError[] = [];
  for (const place of places) {
    try {
      return { answer: await ask(place), place, others: places.filter((other) => other !== place) };
    } catch (error) {
      if (!isOfThisPlace(error)) throw error;
      errors.push(error);
    }
  }
  throw noneAnswered(location, errors);
}

/** The only error, or what each of several places said. */
export function noneAnswered(location: string, errors: readonly CellarError[]): CellarError {
  if (errors.length === 1) return errors[0]!;
  const problem = errors.map((error) => error.message).join('; ');
  return new CellarError('E_SOURCE_UNREACHABLE', {
    details: { source: location, problem },
    cause: errors.at(-1),
  });
}

/** ETag and date of an answer, as later conditions repeat them. */
export function validatorsOf(headers: Readonly<Record<string, string>>): Validators {
  const { etag, 'last-modified': lastModified } = headers;
  return {
    ...(etag === undefined || !/^(?:W\/)?"[^"]*"$/.test(etag) ? {} : { etag }),
    ...(lastModified === undefined || Number.isNaN(Date.parse(lastModified)) ? {} : { lastModified }),
  };
}

/** A revision that no other look will have, for what cannot be told apart without reading it. */
export function unknowableRevision(): string {
  return `looked at ${new Date().toISOString()} ${randomUUID()}`;
}

/** For drivers that know no platforms: the first one asked for. */
export function onlyPlatform({ platforms }: Pick<Query, 'platforms'>): Platform {
  return platforms === 'all' ? hostPlatform : (platforms[0] ?? hostPlatform);
}

export function knownOf({ known }: Query, platform: Platform): Seen | undefined {
  return known.find((seen) => seen.platform === platform);
}

/** The offer as it is, or, when its revision was known, without parts. */
export function offered(offer: Offer, known: Seen | undefined): Offer {
  return known?.revision === offer.revision ? { ...offer, unchanged: true, parts: [] } : offer;
}

const absent: readonly number[] = [404, 410];
/** Signed URLs are made for one method, and some servers know only GET. */
const headRefused: readonly number[] = [403, 405, 501];

function conditions(known: Validators | undefined): Record<string, string> {
  if (known?.etag !== undefined) return { 'if-none-match': known.etag };
  return known?.lastModified === undefined ? {} : { 'if-modified-since': known.lastModified };
}

function readHeaders(
  { status, headers }: HttpResponse,
  { url, known }: { url: string; known: Validators | undefined },
): Headers {
  if (status === 304 && Object.keys(conditions(known)).length > 0) return { state: 'unchanged' };
  if (absent.includes(status)) return { state: 'gone' };
  if (status !== 200 && status !== 206 && status !== 416)
    throw junk(url, `status ${status} to a question for headers`);
  const size = sizeOf(status, headers);
  return { state: 'there', validators: validatorsOf(headers), ...(size === undefined ? {} : { size }) };
}

/** A HEAD that says zero is no statement about the file: too many servers say it always. */
function sizeOf(status: number, headers: Readonly<Record<string, string>>): number | undefined {
  if ((headers['content-encoding'] ?? 'identity') !== 'identity') return undefined;
  const text = status === 200 ? headers['content-length'] : headers['content-range']?.split('/')[1];
  const size = /^\d{1,15}$/.test(text ?? '') ? Number(text) : undefined;
  return status === 200 && size === 0 ? undefined : size;
}

/** Another place may do better, unless it was the user who stopped. */
function isOfThisPlace(error: unknown): error is CellarError {
  return isCellarError(error) && (error.code.startsWith('E_HTTP_') || error.code === 'E_AUTHENTICATION');
}
