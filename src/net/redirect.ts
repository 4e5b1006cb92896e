/**
 * Following redirects ourselves, because what may follow along is a question of trust: credentials and a source's own
 * headers stay with the origin they were meant for, and nobody leads us from https to http or to a file.
 */
import { CellarError } from '../core/errors.ts';
import { harmlessHeaders, type Hop } from './hop.ts';
import { stripUser, withoutUser } from './userinfo.ts';

const mostRedirects = 10;

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

function key({ method, url }: Pick<Hop, 'method' | 'url'>): string {
  return `${method} ${url.href}`;
}
