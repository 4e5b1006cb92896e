/** Platforms in OCI terms: `os/arch[/variant]`, for instance `linux/amd64` or `linux/arm/v7`. */
import { CellarError } from './errors.ts';

export type Platform = string;

const goArch: Record<string, string> = {
  x64: 'amd64',
  arm64: 'arm64',
  arm: 'arm/v7',
  ia32: '386',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
};

/** The platform of this machine. */
export const hostPlatform: Platform = `linux/${goArch[process.arch] ?? process.arch}`;

export function isPlatform(text: string): boolean {
  return /^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9]+)?$/.test(text);
}

/** @throws E_PLATFORM_INVALID */
export function parsePlatform(text: string): Platform {
  if (!isPlatform(text)) throw new CellarError('E_PLATFORM_INVALID', { details: { platform: text } });
  return text;
}

/** Registries write the default variant or leave it out; this is how we write the platform. */
export function canonicalPlatform(platform: Platform): Platform {
  return Object.hasOwn(synonyms, platform) ? synonyms[platform]! : platform;
}

const synonyms: Readonly<Record<Platform, Platform>> = {
  'linux/amd64/v1': 'linux/amd64',
  'linux/arm': 'linux/arm/v7',
  'linux/arm64/v8': 'linux/arm64',
};
