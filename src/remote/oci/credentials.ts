/**
 * Credentials that other tools have stored: containers-auth.json(5) and Docker's config.json, with the helper
 * programs they name. The first file that knows the repository decides, in it the most specific key.
 */
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CellarError } from '../../core/errors.ts';
import { isErrno } from '../../sys/errno.ts';
import { askHelper, type RegistryCredentials } from './credential-helper.ts';
import type { Environment } from '../../core/environment.ts';
import { isObject, parseQuietly } from './json.ts';
import type { Repository } from './repository.ts';

export interface CredentialOptions {
  readonly environment?: Environment;
  readonly signal: AbortSignal;
}

/**
 * What is stored for this repository, if anything. No message and no cause holds any of it.
 * @throws E_CREDENTIALS when a file or a helper that should know it is broken, E_CANCELLED
 */
export async function storedCredentials(
  repository: Pick<Repository, 'registry' | 'name'>,
  { environment = process.env, signal }: CredentialOptions,
): Promise<RegistryCredentials | undefined> {
  for (const file of credentialFiles(environment)) {
    const config = readConfig(file, repository.registry);
    const found = config && (await lookIn(config, { file, repository, environment, signal }));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** In the order they are asked. A file named by the environment is the only one. */
export function credentialFiles(environment: Environment): string[] {
  const { REGISTRY_AUTH_FILE: named, XDG_RUNTIME_DIR, XDG_CONFIG_HOME, DOCKER_CONFIG } = environment;
  if (named) return [named];
  const home = environment['HOME'] || homedir();
  return [
    XDG_RUNTIME_DIR
      ? join(XDG_RUNTIME_DIR, 'containers/auth.json')
      : `/run/containers/${process.getuid?.() ?? 0}/auth.json`,
    join(XDG_CONFIG_HOME || join(home, '.config'), 'containers/auth.json'),
    join(DOCKER_CONFIG || join(home, '.docker'), 'config.json'),
  ];
}

type Config = Readonly<Record<string, unknown>>;

interface Looking extends Required<CredentialOptions> {
  readonly file: string;
  readonly repository: Pick<Repository, 'registry' | 'name'>;
}

const limit = 1 << 20;

/** Docker's own name for its registry is the URL of an API that is no more. */
const hubServer = 'https://index.docker.io/v1/';

async function lookIn(config: Config, looking: Looking): Promise<RegistryCredentials | undefined> {
  const { file, repository, environment, signal } = looking;
  const { registry } = repository;
  const keys = keysOf(repository);
  const helper = firstOf(config['credHelpers'], keys)?.value ?? config['credsStore'];
  if (typeof helper === 'string' && helper !== '') {
    const server = registry === 'docker.io' ? hubServer : registry;
    const found = await askHelper({ helper, server, environment, signal });
    if (found !== undefined) return found;
  }
  const entry = firstOf(config['auths'], keys);
  return entry && readEntry(entry.value, { place: file, server: entry.key });
}

/** From the most specific: `host/a/b`, `host/a`, `host`. */
function keysOf({ registry, name }: Pick<Repository, 'registry' | 'name'>): string[] {
  const parts = name.split('/');
  const paths = parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join('/')}`);
  const hosts =
    registry === 'docker.io' ? ['docker.io', 'index.docker.io', 'registry-1.docker.io'] : [registry];
  return [...paths, ...hosts];
}

function firstOf(table: unknown, keys: readonly string[]): { key: string; value: unknown } | undefined {
  if (!isObject(table)) return undefined;
  const byKey = new Map(Object.entries(table).map(([key, value]) => [normalized(key), value]));
  const key = keys.find((name) => byKey.has(name));
  return key === undefined ? undefined : { key, value: byKey.get(key) };
}

/** Docker writes some servers as URLs; what counts of those is the host. */
function normalized(key: string): string {
  return /^https?:\/\/([^/]+)/i.exec(key)?.[1] ?? key.replace(/\/+$/, '');
}

function readEntry(
  entry: unknown,
  where: { place: string; server: string },
): RegistryCredentials | undefined {
  if (!isObject(entry)) return undefined;
  const { auth, identitytoken, registrytoken, username, password } = entry;
  if (isFilled(identitytoken)) return { identityToken: identitytoken };
  if (isFilled(registrytoken)) return { bearer: registrytoken };
  if (isFilled(auth)) {
    const [, user, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(auth, 'base64').toString()) ?? [];
    if (user === undefined || secret === undefined)
      throw broken(where, "its 'auth' is not user:password in base64");
    return { username: user, password: secret.replace(/\0+$/, '') };
  }
  if (isFilled(username) && typeof password === 'string') return { username, password };
  return undefined;
}

function readConfig(file: string, server: string): Config | undefined {
  let text: string;
  try {
    if (statSync(file).size > limit) throw broken({ place: file, server }, 'it is larger than 1 MiB');
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    if (error instanceof CellarError) throw error;
    throw broken({ place: file, server }, (error as Error).message);
  }
  const config = parseQuietly(text);
  if (!isObject(config)) throw broken({ place: file, server }, 'it is no JSON object');
  return config;
}

function isFilled(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function broken({ place, server }: { place: string; server: string }, problem: string): CellarError {
  return new CellarError('E_CREDENTIALS', { details: { place, server, problem } });
}
