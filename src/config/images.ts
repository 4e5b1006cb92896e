/** An image of the configuration with all that goes for it: what it says itself, else the defaults. */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { Reference } from '../core/reference.ts';
import type { Expiry } from './fields.ts';
import type { CosignPolicy } from '../source/verify/cosign-offer.ts';
import type { VerifyPolicy } from '../source/verify/evidence.ts';
import type { DefaultSettings, ImageSettings } from './schema.ts';

/** What the store as a whole may take. */
export interface StoreLimits {
  /** Bytes. */
  readonly maxSize?: number;
  /** Earlier versions of each image. */
  readonly keep?: number;
  /** Milliseconds. */
  readonly grace?: number;
}

/** How to reach upstream; milliseconds, bytes a second, absolute paths. Where nothing is said, the client's own defaults hold. */
export interface NetworkSettings {
  readonly retries?: number | undefined;
  readonly timeout?: number | undefined;
  readonly concurrency?: number | undefined;
  readonly rateLimit?: number | undefined;
  readonly proxy?: string | undefined;
  readonly ca?: string | undefined;
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

/** Where a secret is; it is read when it is needed. */
export interface CredentialPlace {
  /** Absent for a bearer token. */
  readonly username?: string | undefined;
  readonly file?: string | undefined;
  /** Name of an environment variable. */
  readonly variable?: string | undefined;
}

/** What may be said for all images. */
export interface EntryDefaults {
  readonly verify: VerifyPolicy;
  /** Absolute paths; none means the store's keys and systemd's. */
  readonly keyrings: readonly string[];
  readonly cosign?: CosignPolicy;
  /** Milliseconds between two looks; 0 is always, `undefined` never. */
  readonly refresh: number | undefined;
  /** Seconds since the epoch, or milliseconds after the pull. */
  readonly expires?: Expiry;
  /** Earlier versions; `undefined` for what the store keeps. */
  readonly keep?: number;
  /** `undefined` for this machine's. */
  readonly platforms?: readonly Platform[] | 'all';
  readonly labels: Readonly<Record<string, string>>;
  /** Bounds of one tree: bytes of content, number of paths. */
  readonly maxSize?: number;
  readonly maxFiles?: number;
  readonly network: NetworkSettings;
}

export interface ImageEntry extends EntryDefaults {
  readonly reference: Reference;
  /** With absolute paths; it may hold a secret from the environment. */
  readonly source: string;
  readonly mirrors: readonly string[];
  readonly sha256?: Digest;
  readonly pin: boolean;
  /** All that it belongs to, wherever that is said. */
  readonly groups: readonly string[];
  readonly credentials?: CredentialPlace;
  /** `file:line`, for messages. */
  readonly where: string;
}

/** Milliseconds; where neither an image nor the defaults say it. */
const standardRefresh = 6 * 60 * 60 * 1000;

export function makeDefaults(settings: DefaultSettings): EntryDefaults {
  const { verify, keyring, refresh, expires, keep, platform, labels } = settings;
  const { 'max-size': maxSize, 'max-files': maxFiles } = settings;
  const cosign = cosignOf(settings);
  return {
    verify: verify ?? 'strongest',
    keyrings: keyring ?? [],
    refresh: refresh === 'never' ? undefined : (refresh ?? standardRefresh),
    labels: labels ?? {},
    network: networkOf(settings),
    ...(cosign === undefined ? {} : { cosign }),
    ...(expires === undefined ? {} : { expires }),
    ...(keep === undefined ? {} : { keep }),
    ...(platform === undefined ? {} : { platforms: platform }),
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(maxFiles === undefined ? {} : { maxFiles }),
  };
}

export interface Surrounding {
  readonly reference: Reference;
  readonly where: string;
  readonly groups: readonly string[];
  readonly defaults: DefaultSettings;
}

export function makeEntry(settings: ImageSettings, surrounding: Surrounding): ImageEntry {
  const { reference, where, groups, defaults } = surrounding;
  const { source, mirrors, sha256, pin } = settings;
  const credentials = credentialsOf(settings);
  const labels = { ...defaults.labels, ...settings.labels };
  return {
    ...makeDefaults({ ...defaults, ...settings, labels }),
    ...{ reference, where, source, groups, mirrors: mirrors ?? [], pin: pin ?? false },
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(credentials === undefined ? {} : { credentials }),
  };
}

function networkOf(settings: DefaultSettings): NetworkSettings {
  const { retries, timeout, concurrency, 'rate-limit': rateLimit, proxy, ca } = settings;
  return { retries, timeout, concurrency, rateLimit, proxy, ca, certificate: settings['client-certificate'] };
}

/** The schema has seen to it that one of the two is whole. */
function cosignOf({ cosign }: DefaultSettings): CosignPolicy | undefined {
  if (cosign === undefined) return undefined;
  const { key, 'trust-root': trustRoot, identity, issuer } = cosign;
  return key === undefined ? { trustRoot: trustRoot!, identity: identity!, issuer: issuer! } : { key };
}

function credentialsOf({ credentials }: ImageSettings): CredentialPlace | undefined {
  if (credentials === undefined) return undefined;
  return {
    username: credentials.username,
    file: credentials['password-file'] ?? credentials['token-file'],
    variable: credentials['password-env'] ?? credentials['token-env'],
  };
}
