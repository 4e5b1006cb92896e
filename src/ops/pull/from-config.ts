/** From an entry of `cellar.yaml` to a pull. Secrets are read here and nowhere else, from their file or variable. */
import { readFileSync } from 'node:fs';
import type { CredentialPlace, ImageEntry } from '../../config/images.ts';
import type { LoadedConfig } from '../../config/load.ts';
import { CellarError } from '../../core/errors.ts';
import type { Credentials } from '../../net/port.ts';
import type { PullOptions } from '../pull.ts';

/** @throws E_CONFIG_SECRET */
export function pullOptions(
  entry: ImageEntry,
  { store, images }: Pick<LoadedConfig, 'store' | 'images'>,
  env: NodeJS.ProcessEnv = process.env,
): PullOptions & { readonly reference: string } {
  const { expires, keep = store.keep, credentials } = entry;
  return {
    source: entry.source,
    reference: entry.reference,
    platforms: entry.platforms,
    verify: entry.verify === 'strongest' ? undefined : entry.verify,
    sha256: entry.sha256,
    keyrings: entry.keyrings,
    cosign: entry.cosign,
    mirrors: entry.mirrors,
    http: {
      ...entry.network,
      ...(credentials === undefined ? {} : { credentials: readCredentials(credentials, entry, env) }),
    },
    labels: entry.labels,
    pin: entry.pin ? true : undefined,
    refreshEvery: entry.refresh,
    expires: expires === undefined ? undefined : epochOf(expires),
    keep,
    maxStoreSize: store.maxSize,
    // Else what a configuration lists, but the store is too small for, would be fetched again and again.
    spare: images.map(({ reference }) => reference),
    maxSize: entry.maxSize,
    maxFiles: entry.maxFiles,
  };
}

/** Seconds since the epoch. */
function epochOf(expires: NonNullable<ImageEntry['expires']>): number {
  return 'at' in expires ? expires.at : Math.floor((Date.now() + expires.after) / 1000);
}

function readCredentials(
  { username, file, variable }: CredentialPlace,
  { where }: ImageEntry,
  env: NodeJS.ProcessEnv,
): Credentials {
  const secret = file === undefined ? env[variable ?? ''] : readSecret(file, where);
  if (secret === undefined || secret === '')
    throw new CellarError('E_CONFIG_SECRET', {
      details: { where, problem: file === undefined ? `$${variable} is not set` : `${file} is empty` },
    });
  return username === undefined ? { bearer: secret } : { username, password: secret };
}

function readSecret(file: string, where: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (cause) {
    throw new CellarError('E_CONFIG_SECRET', {
      details: { where, problem: `${file} cannot be read` },
      cause,
    });
  }
}
