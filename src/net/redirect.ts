/**
 * Following redirects ourselves, because what may follow along is a question of trust: credentials and a source's own
 * headers stay with the origin they were meant for, and nobody leads us from https to http or to a file.
 */
import { CellarError } from '../core/errors.ts';
import type { HttpRequest } from './port.ts';

/** One request on its way. */
export interface Hop {
  readonly url: URL;
  readonly method: NonNullable<HttpRequest['method']>;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: HttpRequest['body'] | undefined;
  /** Still at the origin that was asked first: its credentials and client certificate may be shown. */
  readonly trusted: boolean;
}

const mostRedirects = 10;

/** What another origin may see: nothing in these says who asks. */
const harmless =
  /^(accept|accept-encoding|accept-language|range|if-range|if-match|if-none-match|if-modified-since|if-unmodified-since|user-agent|content-type)$/;

export function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308;
}

/**
 * The request that a redirect asks for (RFC 9110, 15.4). `seen` holds what was already asked, and grows.
 * @throws E_HTTP_REDIRECT
 */
export function follow(
  hop: Hop,
  { status, location }: { status: number; location: string | undefined },
  seen: Set<string>,
): Hop {
  const refuse = (problem: string, target = location ?? 'nowhere'): CellarError =>
    new CellarError('E_HTTP_REDIRECT', { details: { url: hop.url.href, target, problem } });
  if (location === undefined) throw refuse('it does not say where to');
  if (!URL.canParse(location, hop.url.href)) throw refuse('that is no URL', withoutUser(location));
  const url = new URL(location, hop.url.href);
  stripUser(url);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') throw refuse('only http and https are followed');
  if (hop.url.protocol === 'https:' && url.protocol === 'http:')
    throw refuse('from https to http, where anybody could change it');
  const toGet =
    (status === 303 && hop.method !== 'HEAD') ||
    ((status === 301 || status === 302) && hop.method === 'POST');
  const method = toGet ? 'GET' : hop.method;
  const same = url.origin === hop.url.origin;
  const body = toGet ? undefined : hop.body;
  if (!same && body !== undefined) throw refuse('another server is not to see what was sent', url.href);
  seen.add(key(hop));
  if (seen.has(key({ method, url }))) throw refuse('a loop', url.href);
  if (seen.size > mostRedirects) throw refuse(`that is more than ${mostRedirects} redirects`, url.href);
  const headers = same ? hop.headers : harmlessHeaders(hop.headers);
  return { url, method, headers, body, trusted: hop.trusted && same };
}

/** The headers that tell nothing about who asks. */
export function harmlessHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => harmless.test(name)));
}

/** Takes user name and password out of a URL. */
export function stripUser(url: URL): void {
  url.username = '';
  url.password = '';
}

/** For messages about text that is no URL: a password may hold whatever keeps it from being one. */
export function withoutUser(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/is, '$1***@');
}

function key({ method, url }: Pick<Hop, 'method' | 'url'>): string {
  return `${method} ${url.href}`;
}
