/**
 * From a challenge to the header that answers it: Basic, or a bearer token from the registry's token server
 * (distribution's "Token Authentication" and "OAuth2 Token Authentication").
 */
import { CellarError } from '../../core/errors.ts';
import { basic } from '../../net/userinfo.ts';
import type { HttpClient } from '../../net/port.ts';
import { parseChallenges, type Challenge } from './challenge.ts';
import type { RegistryCredentials } from './credential-helper.ts';
import { isObject, parseQuietly } from './json.ts';
import { askSmall } from './read-small.ts';
import type { Repository } from './repository.ts';

export interface Authorization {
  /** Value of the header. */
  readonly header: string;
  /** By `performance.now()`; it is renewed before. */
  readonly expires: number;
}

export interface ChallengeGiven {
  readonly client: HttpClient;
  readonly repository: Repository;
  /** The request that was refused, for messages. */
  readonly url: string;
  /** Value of `WWW-Authenticate`. */
  readonly header: string | undefined;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}

/** @throws E_AUTHENTICATION, E_REGISTRY_INVALID and what the client does */
export async function answerChallenge(given: ChallengeGiven): Promise<Authorization> {
  const { url, header, credentials } = given;
  const challenges = parseChallenges(header ?? '');
  const bearer = challenges.find(({ scheme }) => scheme === 'bearer');
  if (credentials !== undefined && 'bearer' in credentials)
    return { header: `Bearer ${credentials.bearer}`, expires: Infinity };
  if (bearer !== undefined) return await fetchToken(given, bearer);
  if (!challenges.some(({ scheme }) => scheme === 'basic'))
    throw invalid(url, 'it wants authentication of a kind that is not known here');
  if (credentials === undefined || !('password' in credentials)) throw refused(url, 401);
  return { header: basic(credentials), expires: Infinity };
}

const clientId = 'rootcellar';
const tokenLimit = 1 << 20;
/** Of a token whose server says nothing about it. */
const defaultSeconds = 60;

async function fetchToken(given: ChallengeGiven, challenge: Challenge): Promise<Authorization> {
  const { repository, credentials } = given;
  const realm = realmOf(given, challenge);
  const fields = new URLSearchParams();
  if (challenge.parameters['service'] !== undefined) fields.set('service', challenge.parameters['service']);
  fields.set('scope', challenge.parameters['scope'] ?? `repository:${repository.name}:pull`);
  if (credentials !== undefined && 'identityToken' in credentials) {
    fields.set('grant_type', 'refresh_token');
    fields.set('refresh_token', credentials.identityToken);
    fields.set('client_id', clientId);
    return await askForToken(given, realm, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: fields.toString(),
    });
  }
  for (const [name, value] of fields) realm.searchParams.append(name, value);
  if (credentials === undefined || !('password' in credentials)) return await askForToken(given, realm, {});
  realm.searchParams.set('account', credentials.username);
  return await askForToken(given, realm, { headers: { authorization: basic(credentials) } });
}

async function askForToken(
  { client, repository, signal }: ChallengeGiven,
  realm: URL,
  request: { method?: 'POST'; headers?: Record<string, string>; body?: string },
): Promise<Authorization> {
  const started = performance.now();
  // It is told what is said here, and nothing of what the client says to its own source.
  const foreign = realm.origin !== repository.origin;
  const { response, bytes } = await askSmall(
    () => client.open(realm.href, { ...request, foreign, accept: [401, 403], signal }),
    tokenLimit,
  );
  const place = `${realm.origin}${realm.pathname}`;
  if (response.status >= 400) throw refused(place, response.status);
  const answer = parseQuietly(bytes.toString());
  const { token, access_token: other, expires_in: seconds } = isObject(answer) ? answer : {};
  const value = typeof token === 'string' && token !== '' ? token : other;
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) throw invalid(place, 'no token');
  const lifetime = typeof seconds === 'number' && seconds > 0 ? seconds : defaultSeconds;
  return { header: `Bearer ${value}`, expires: started + lifetime * 900 };
}

function realmOf({ url, repository }: ChallengeGiven, { parameters }: Challenge): URL {
  const { realm } = parameters;
  if (realm === undefined || !URL.canParse(realm))
    throw invalid(url, 'it does not say where tokens are given');
  const parsed = new URL(realm);
  const mayBePlain = repository.origin.startsWith('http:');
  if (parsed.protocol !== 'https:' && !(mayBePlain && parsed.protocol === 'http:'))
    throw invalid(url, 'its tokens are given without https, where anybody could read the password');
  parsed.username = '';
  parsed.password = '';
  return parsed;
}

function refused(url: string, status: number): CellarError {
  return new CellarError('E_AUTHENTICATION', { details: { url, status } });
}

function invalid(url: string, problem: string): CellarError {
  return new CellarError('E_REGISTRY_INVALID', { details: { url, problem } });
}
