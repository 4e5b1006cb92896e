/** One request as it is sent, and how it comes to be: credentials leave the URL before anything else sees it. */
import { CellarError } from '../core/errors.ts';
import { basic, basicOfUrl, stripUser, withoutUser } from './userinfo.ts';
import type { Credentials, HttpOptions, HttpRequest } from './port.ts';

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

/**
 * `origin`: whom the options are for, where the requests do not say it.
 * @throws E_USAGE for what is no http or https URL
 */
export function firstHop(
  text: string,
  request: HttpRequest,
  { options, origin }: { options: HttpOptions; origin?: string | undefined },
): Hop {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new CellarError('E_USAGE', {
      details: { problem: `'${withoutUser(text)}' is no http or https URL` },
    });
  const own = basicOfUrl(url);
  stripUser(url);
  url.hash = '';
  const foreign = origin === undefined ? request.foreign === true : url.origin !== origin;
  const configured = lowerCase(options.headers ?? {});
  const authorization = own ?? (foreign ? undefined : authorizationOf(options.credentials));
  return {
    url,
    method: request.method ?? 'GET',
    headers: {
      'user-agent': 'rootcellar',
      ...(authorization === undefined ? {} : { authorization }),
      ...(foreign ? harmlessHeaders(configured) : configured),
      ...lowerCase(request.headers ?? {}),
      // What a digest names is what travels.
      'accept-encoding': 'identity',
    },
    body: request.body,
    trusted: !foreign,
  };
}

/** What another origin may see: nothing in these says who asks. */
const harmless =
  /^(accept|accept-encoding|accept-language|range|if-range|if-match|if-none-match|if-modified-since|if-unmodified-since|user-agent|content-type)$/;

/** The headers that tell nothing about who asks. */
export function harmlessHeaders(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => harmless.test(name)));
}

function authorizationOf(credentials: Credentials | undefined): string | undefined {
  if (credentials === undefined) return undefined;
  if ('bearer' in credentials) return `Bearer ${credentials.bearer}`;
  return basic(credentials);
}

function lowerCase(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
