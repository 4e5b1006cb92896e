/**
 * Where an image lies in registries, read from what a user wrote:
 *
 *   docker://[host[:port]/]name[:tag|@sha256:…]     docker+http://… without TLS     registry://… the same
 *
 * Without a host it is docker.io, without a tag `latest`. Plain http is used where it was asked for, and for this
 * machine itself.
 */
import { isDigest, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { isLoopback } from '../../net/loopback.ts';

export interface Repository {
  /** Host and port as references and credential files write them: `docker.io`, `localhost:5000`. */
  readonly registry: string;
  /** Where it is asked: `https://registry-1.docker.io`. */
  readonly origin: string;
  readonly name: string;
}

export interface ImageLocation extends Repository {
  /** What the manifest is asked by: a tag, or `sha256:…`. */
  readonly reference: string;
  /** Where it is pinned. */
  readonly digest?: Digest;
}

const location = /^(?:docker|registry)(?:\+(https?))?:\/\/(.+)$/is;
const nameGrammar = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const tagGrammar = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const hostGrammar = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?$/;
const dockerHub: readonly string[] = ['docker.io', 'index.docker.io', 'registry-1.docker.io'];

/** @throws E_SOURCE_INVALID */
export function parseImageLocation(text: string): ImageLocation {
  const refuse = refusal(text);
  const [, scheme, rest] = location.exec(text) ?? [];
  if (rest === undefined) throw refuse('write docker://[host[:port]/]name[:tag|@sha256:…]');
  const [named, pinned, ...more] = rest.split('@');
  if (more.length > 0 || named!.split('/')[0] === '') throw refuse('it has no name');
  if (pinned?.includes('/') === true)
    throw refuse('credentials are not part of a name; give them with the source or log in');
  const { host, path } = splitHost(named!);
  const [, bare, tag] = /^(.+?)(?::([^/:]*))?$/.exec(path) ?? [];
  if (tag !== undefined && !tagGrammar.test(tag)) throw refuse(`'${tag}' is not a tag`);
  const repository = makeRepository(host, bare ?? '', { scheme, refuse });
  if (pinned === undefined) return { ...repository, reference: tag ?? 'latest' };
  const digest = /^sha256:(.+)$/.exec(pinned)?.[1];
  if (digest === undefined || !isDigest(digest))
    throw refuse('a digest is sha256: and 64 hexadecimal digits');
  return { ...repository, reference: pinned, digest };
}

/**
 * The same image at a mirror: `[scheme://]host[:port][/prefix]`, to which its name is joined.
 * @throws E_SOURCE_INVALID
 */
export function parseMirror(text: string, name: string): Repository {
  const refuse = refusal(text);
  const [, scheme, host, prefix] =
    /^(?:(?:(?:docker|registry)\+)?(https?):\/\/|(?:docker|registry):\/\/)?([^/@]+)\/*(.*?)\/*$/i.exec(
      text,
    ) ?? [];
  if (host === undefined) throw refuse('a mirror of a registry is host[:port][/prefix]');
  return makeRepository(host, prefix ? `${prefix}/${name}` : name, { scheme, refuse });
}

/** `https://host/v2/name/`, below which the registry answers for this repository. */
export function repositoryUrl({ origin, name }: Repository): string {
  return `${origin}/v2/${name}/`;
}

interface Making {
  readonly scheme: string | undefined;
  readonly refuse: (problem: string) => CellarError;
}

function makeRepository(host: string, path: string, { scheme, refuse }: Making): Repository {
  if (!hostGrammar.test(host)) throw refuse(`'${host}' is not a host`);
  const isHub = dockerHub.includes(host);
  const name = isHub && !path.includes('/') ? `library/${path}` : path;
  if (!nameGrammar.test(name) || name.length > 255)
    throw refuse('names are lower-case letters, digits and . _ - /');
  if (isHub) return { registry: 'docker.io', origin: 'https://registry-1.docker.io', name };
  const isHere = isLoopback(host.replace(/:\d+$/, '').toLowerCase());
  const url = `${scheme?.toLowerCase() ?? (isHere ? 'http' : 'https')}://${host}`;
  if (!URL.canParse(url)) throw refuse(`'${host}' is not a host`);
  return { registry: host, origin: new URL(url).origin, name };
}

/** The first component is a host when it cannot be part of a name, or is `localhost`. */
function splitHost(text: string): { host: string; path: string } {
  const slash = text.indexOf('/');
  const first = text.slice(0, Math.max(slash, 0));
  if (first === 'localhost' || /[.:A-Z[]/.test(first)) return { host: first, path: text.slice(slash + 1) };
  return { host: 'docker.io', path: text };
}

function refusal(source: string): (problem: string) => CellarError {
  return (problem) => new CellarError('E_SOURCE_INVALID', { details: { source, problem } });
}
