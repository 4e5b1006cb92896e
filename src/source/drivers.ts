/**
 * Every kind of source, by how its locations are written. A driver is loaded when a location is one of its own, so
 * that asking one source does not cost the code of all.
 */
import type { Driver } from './port.ts';

export interface SourceKind {
  readonly name: string;
  /** Its sources lie on this machine, where the operator answers for them. */
  readonly isLocal?: true;
  /** It offers OCI images, which cosign signs, and nothing else. */
  readonly isOci?: true;
  /** It knows no platforms: what it offers is kept for the first that is asked for. */
  readonly isOfOnePlatform?: true;
  /** No two kinds match one location. */
  readonly pattern: RegExp;
  readonly load: () => Promise<Driver>;
}

export const sourceKinds: readonly SourceKind[] = [
  {
    name: 'lxc',
    pattern: /^lxc(?:\+https?)?:/i,
    load: async () => (await import('./lxc-index.ts')).lxcIndexDriver,
  },
  {
    name: 'simplestreams',
    pattern: /^simplestreams(?:\+https?)?:/i,
    load: async () => (await import('./simplestreams.ts')).simplestreamsDriver,
  },
  {
    name: 'latest',
    isOfOnePlatform: true,
    pattern: /^latest:/i,
    load: async () => (await import('./latest.ts')).latestDriver,
  },
  {
    name: 'morph',
    isOfOnePlatform: true,
    pattern: /^morph:/i,
    load: async () => (await import('./morph.ts')).morphDriver,
  },
  {
    name: 'oci',
    isOci: true,
    pattern: /^(?:docker|registry)(?:\+https?)?:\/\/./i,
    load: async () => (await import('./oci.ts')).ociDriver,
  },
  {
    name: 'oci-archive',
    isOci: true,
    isLocal: true,
    pattern: /^(?:docker-archive|oci-archive|oci):(?!\/\/)/,
    load: async () => (await import('./oci-archive.ts')).ociArchiveDriver,
  },
  {
    name: 'http',
    isOfOnePlatform: true,
    pattern: /^(?:(?:tar|squashfs|file)\+)?https?:/i,
    load: async () => (await import('./http.ts')).httpDriver,
  },
  {
    // A path is whatever begins with no scheme.
    name: 'file',
    isLocal: true,
    isOfOnePlatform: true,
    pattern: /^(?:(?:tar|squashfs|file)\+)?file:|^(?![a-z][a-z0-9+.-]*:)./is,
    load: async () => (await import('./local.ts')).localDriver,
  },
];

export function sourceKindOf(location: string): SourceKind | undefined {
  return sourceKinds.find(({ pattern }) => pattern.test(location));
}

/** Why nobody can have signed with cosign what this source offers; `undefined` where somebody can. */
export function withoutCosign(location: string): string | undefined {
  const kind = sourceKindOf(location);
  if (kind === undefined || kind.isOci === true) return undefined;
  return `cosign signs OCI images, and a source of kind ${kind.name} has none`;
}
