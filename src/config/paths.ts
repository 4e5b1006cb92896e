/** Paths in a configuration begin at the directory of the file they stand in, so that it can be kept in a repository. */
import { resolve } from 'node:path';
import type { DefaultSettings, ImageSettings } from './schema.ts';

const localSource = /^((?:(?:tar|squashfs|file)\+)?file:|docker-archive:|oci-archive:|oci:)(?!\/)(.+)$/s;

/** A source, or a mirror, on this machine gets an absolute path; any other stays as it is. */
export function absoluteSource(source: string, directory: string): string {
  const [, scheme, rest] = localSource.exec(source) ?? [];
  if (scheme !== undefined) return `${scheme}${resolve(directory, rest!)}`;
  return /^[a-z][a-z0-9+.-]*:/i.test(source) ? source : resolve(directory, source);
}

/** @param directory absolute */
export function absoluteImage(settings: ImageSettings, directory: string): ImageSettings {
  const { credentials, mirrors } = settings;
  return {
    ...settings,
    ...absoluteDefaults(settings, directory),
    source: absoluteSource(settings.source, directory),
    ...(mirrors === undefined ? {} : { mirrors: mirrors.map((one) => absoluteSource(one, directory)) }),
    ...(credentials === undefined
      ? {}
      : { credentials: absoluteKeys(credentials, ['password-file', 'token-file'], directory) }),
  };
}

/** @param directory absolute */
export function absoluteDefaults(settings: DefaultSettings, directory: string): DefaultSettings {
  const { keyring, cosign, 'client-certificate': certificate } = settings;
  return {
    ...absoluteKeys(settings, ['ca'], directory),
    ...(keyring === undefined ? {} : { keyring: keyring.map((path) => resolve(directory, path)) }),
    ...(cosign === undefined ? {} : { cosign: absoluteKeys(cosign, ['key', 'trust-root'], directory) }),
    ...(certificate === undefined
      ? {}
      : { 'client-certificate': absoluteKeys(certificate, ['cert', 'key'], directory) }),
  };
}

function absoluteKeys<T extends object>(settings: T, keys: readonly (keyof T)[], directory: string): T {
  const changed = keys.flatMap((key) => {
    const value = settings[key];
    return typeof value === 'string' ? [[key, resolve(directory, value)] as const] : [];
  });
  return { ...settings, ...Object.fromEntries(changed) };
}
