/**
 * Asking a registry (OCI distribution-spec 1.1): which manifest a tag names, its bytes, what refers to it. Whatever
 * has a digest is checked against it before it is believed.
 */
import { isDigest, sha256, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { HttpClient, HttpResponse } from '../../net/port.ts';
import {
  isIndex,
  manifestLimit,
  manifestTypes,
  parseManifest,
  type Descriptor,
  type Manifest,
} from './manifest.ts';
import { askSmall } from './read-small.ts';
import { repositoryUrl, type Repository } from './repository.ts';

export interface Registry {
  readonly repository: Repository;
  /** One that the registry lets in. */
  readonly client: HttpClient;
}

/** What headers say of a manifest; without `digest` they do not say. */
export type ManifestHead = { readonly state: 'gone' } | { readonly state: 'there'; readonly digest?: Digest };

/** @param reference a tag or `sha256:…` @throws what the client does, E_CHECKSUM_MISMATCH */
export async function headManifest(
  { repository, client }: Registry,
  reference: string,
  signal: AbortSignal,
): Promise<ManifestHead> {
  const url = manifestUrl(repository, reference);
  const headers = { accept: manifestTypes };
  const response = await client.open(url, {
    method: 'HEAD',
    headers,
    accept: [404, 410, ...headRefused],
    signal,
  });
  await response.discard();
  if (response.status === 404 || response.status === 410) return { state: 'gone' };
  const digest = headRefused.includes(response.status) ? undefined : digestHeader(response);
  if (digest === undefined) return { state: 'there' };
  checkDigest(url, { found: digest, wanted: digestOf(reference) });
  return { state: 'there', digest };
}

/**
 * `undefined` when the registry has none by that name.
 * @param reference a tag or `sha256:…`
 * @throws what the client does, E_CHECKSUM_MISMATCH, E_REGISTRY_INVALID, E_MANIFEST_UNSUPPORTED
 */
export async function getManifest(
  { repository, client }: Registry,
  reference: string,
  options: {
    readonly signal: AbortSignal;
    /** More statuses that mean "none". */ readonly none?: readonly number[];
  },
): Promise<Manifest | undefined> {
  const { signal, none = [] } = options;
  const url = manifestUrl(repository, reference);
  const headers = { accept: manifestTypes };
  const accept = [404, 410, ...none];
  const { response, bytes } = await askSmall(
    () => client.open(url, { headers, accept, signal }),
    manifestLimit,
  );
  if (response.status >= 400) return undefined;
  const found = sha256(bytes);
  checkDigest(url, { found, wanted: digestOf(reference) });
  checkDigest(url, { found, wanted: digestHeader(response) });
  return parseManifest(bytes, { url, contentType: response.headers['content-type'] });
}

/**
 * Small content, in memory. `undefined` when the registry does not have it.
 * @throws what the client does, E_CHECKSUM_MISMATCH, E_REGISTRY_INVALID when it is larger than its manifest says
 */
export async function getSmallBlob(
  { repository, client }: Registry,
  { digest, size }: Pick<Descriptor, 'digest' | 'size'>,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  const url = blobUrl(repository, digest);
  const { response, bytes } = await askSmall(() => client.open(url, { accept: [404, 410], signal }), size);
  if (response.status >= 400) return undefined;
  checkDigest(url, { found: sha256(bytes), wanted: digest });
  return bytes;
}

/**
 * Manifests that name this one as their subject: signatures, attestations, bills of materials. Registries before
 * distribution-spec 1.1 list them under a tag.
 * @throws what the client does, E_REGISTRY_INVALID
 */
export async function getReferrers(
  registry: Registry,
  digest: Digest,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const { repository, client } = registry;
  const found: Descriptor[] = [];
  let url: string | undefined = `${repositoryUrl(repository)}referrers/sha256:${digest}`;
  for (let page = 1; url !== undefined; page++) {
    const here: string = url;
    const headers = { accept: indexType };
    const { response, bytes } = await askSmall(
      () => client.open(here, { headers, accept: notOffered, signal }),
      manifestLimit,
    );
    const contentType = response.headers['content-type'];
    const isList = response.status === 200 && contentType?.split(';')[0]!.trim() === indexType;
    if (!isList && page === 1) return await taggedReferrers(registry, digest, signal);
    if (!isList || page > mostPages) throw invalid(here, 'its list of referrers does not end');
    found.push(...parseManifest(bytes, { url: here, contentType }).manifests);
    if (found.length > mostReferrers) throw invalid(here, `more than ${mostReferrers} referrers`);
    url = nextPage(response, here, repository);
  }
  return found;
}

export function blobUrl(repository: Repository, digest: Digest): string {
  return `${repositoryUrl(repository)}blobs/sha256:${digest}`;
}

/** Statuses with which registries answer about what they do not know of. */
export const notOffered: readonly number[] = [400, 403, 404, 405, 406, 410, 501];

const headRefused: readonly number[] = [400, 405, 501];
const indexType = 'application/vnd.oci.image.index.v1+json';
const mostPages = 100;
const mostReferrers = 1000;

async function taggedReferrers(
  registry: Registry,
  digest: Digest,
  signal: AbortSignal,
): Promise<readonly Descriptor[]> {
  const list = await getManifest(registry, `sha256-${digest}`, { signal, none: notOffered });
  return list !== undefined && isIndex(list) ? list.manifests : [];
}

function manifestUrl(repository: Repository, reference: string): string {
  return `${repositoryUrl(repository)}manifests/${reference}`;
}

function digestOf(reference: string): Digest | undefined {
  return reference.startsWith('sha256:') ? reference.slice('sha256:'.length) : undefined;
}

function digestHeader({ headers }: HttpResponse): Digest | undefined {
  const digest = digestOf(headers['docker-content-digest'] ?? '');
  return digest !== undefined && isDigest(digest) ? digest : undefined;
}

function checkDigest(url: string, { found, wanted }: { found: Digest; wanted: Digest | undefined }): void {
  if (wanted !== undefined && found !== wanted)
    throw new CellarError('E_CHECKSUM_MISMATCH', { details: { source: url, found, wanted } });
}

/** RFC 8288. A list goes on below the same repository or not at all. */
function nextPage({ headers }: HttpResponse, url: string, repository: Repository): string | undefined {
  const target = /<([^>]*)>\s*;[^,]*\brel="?next\b/i.exec(headers['link'] ?? '')?.[1];
  if (target === undefined) return undefined;
  const next = URL.canParse(target, url) ? new URL(target, url).href : '';
  if (!next.startsWith(repositoryUrl(repository)))
    throw invalid(url, 'its list of referrers leads elsewhere');
  return next;
}

function invalid(url: string, problem: string): CellarError {
  return new CellarError('E_REGISTRY_INVALID', { details: { url, problem } });
}
