/**
 * OCI registries. An image is kept byte for byte: its manifest is the content, beside it lie configuration, layers
 * and what refers to it (signatures, attestations); the index it was chosen from is an attachment.
 *
 * Revision: the digest that the tag names, of the index where there is one. What platforms that index has is kept
 * as the ETag, so that headers alone can answer for all of them.
 */
import { hostPlatform, canonicalPlatform, type Platform } from '../core/platform.ts';
import { CellarError } from '../core/errors.ts';
import type { HttpClient, HttpOptions } from '../net/port.ts';
import { createAuthorisedClient } from '../remote/oci/authorised-client.ts';
import { storedCredentials } from '../remote/oci/credentials.ts';
import { isIndex, type Manifest } from '../remote/oci/manifest.ts';
import { getManifest, headManifest, type Registry } from '../remote/oci/registry.ts';
import {
  isRegistryLocation,
  parseImageLocation,
  parseMirror,
  type ImageLocation,
  type Repository,
} from '../remote/oci/repository.ts';
import { gone } from './location.ts';
import { askAny, preferring, type Asking } from './oci-asking.ts';
import { listImages, readImage, type ListedImage } from './oci-images.ts';
import { makeParts } from './oci-parts.ts';
import { findCompanions } from './oci-companions.ts';
import type { Driver, Offer, Query, Seen, Source, SourceOptions } from './port.ts';

export const ociDriver: Driver = {
  name: 'oci',
  accepts: isRegistryLocation,
  open: openOci,
};

function openOci(location: string, { mirrors, http }: SourceOptions): Source {
  const image = parseImageLocation(location);
  const repositories = [image, ...mirrors.map((mirror) => parseMirror(mirror, image.name))];
  const connections = new WeakMap<HttpClient, readonly Registry[]>();
  return {
    async look(query, surroundings) {
      const { client, signal } = surroundings;
      const registries = connections.get(client) ?? connect(client, repositories, http);
      // Tokens outlive one look.
      connections.set(client, registries);
      return await look({ location, registries, signal }, image, query);
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** Credentials given with the source are the first registry's; mirrors have their own. */
function connect(
  client: HttpClient,
  repositories: readonly Repository[],
  http: HttpOptions,
): readonly Registry[] {
  const authorised = createAuthorisedClient(
    client,
    repositories.map((repository, index) => ({
      repository,
      credentials: async (signal) =>
        (index === 0 ? http.credentials : undefined) ?? (await storedCredentials(repository, { signal })),
    })),
  );
  return repositories.map((repository) => ({ repository, client: authorised }));
}

async function look(asking: Asking, image: ImageLocation, query: Query): Promise<Offer[]> {
  const known = knownOfAll(query);
  if (known.length > 0 && (await isStill(asking, image, known[0]!.revision))) return known.map(unchanged);
  const top = await askAny(asking, (registry) => getManifest(registry, image.reference, asking), {
    isPinned: image.digest !== undefined,
  });
  if (top === undefined) throw gone(asking.location, 'the registry does not have it');
  const nearest = preferring(asking, top.registry);
  const images = await listImages(nearest, top.answer);
  const chosen = choose(images, asking.location, query.platforms);
  const revision = `sha256:${top.answer.digest}`;
  const etag = images.flatMap(({ platform }) => platform ?? []).join(' ');
  return await Promise.all(
    chosen.map(async ([platform, listed]) => {
      const seen = { platform, revision, ...(etag === '' ? {} : { etag }) };
      const isKnown = query.known.some((old) => isSame(old.platform, platform) && old.revision === revision);
      return isKnown ? unchanged(seen) : await offer(nearest, { top: top.answer, listed }, seen);
    }),
  );
}

/** What is known of everything asked for, if all of it is, and of one revision: then headers can answer for it. */
function knownOfAll({ platforms, known }: Query): readonly Seen[] {
  const [first] = known;
  if (first === undefined) return [];
  const wanted = platforms === 'all' ? (first.etag?.split(' ') ?? [first.platform]) : platforms;
  const found = wanted.map((platform) => known.find((seen) => isSame(seen.platform, platform)));
  return found.every((seen) => seen?.revision === first.revision) ? (found as Seen[]) : [];
}

function unchanged(seen: Seen): Offer {
  return { ...seen, kind: 'oci', unchanged: true, parts: [], labels: {} };
}

async function isStill(asking: Asking, image: ImageLocation, revision: string): Promise<boolean> {
  const { signal } = asking;
  const head = await askAny(
    asking,
    async (registry) => {
      const answer = await headManifest(registry, image.reference, signal);
      return answer.state === 'gone' ? undefined : answer;
    },
    { isPinned: image.digest !== undefined },
  );
  if (head === undefined) throw gone(asking.location, 'the registry does not have it');
  return head.answer.digest !== undefined && `sha256:${head.answer.digest}` === revision;
}

/** Images of which the platform is unknown (an artifact) answer for whatever is asked first. */
function choose(
  images: readonly ListedImage[],
  location: string,
  platforms: Query['platforms'],
): (readonly [Platform, ListedImage])[] {
  const only = images.length === 1 && images[0]!.platform === undefined ? images[0] : undefined;
  if (only !== undefined)
    return [[platforms === 'all' ? hostPlatform : (platforms[0] ?? hostPlatform), only]];
  const named = images.filter((image) => image.platform !== undefined);
  if (platforms === 'all' && named.length > 0) return named.map((image) => [image.platform!, image]);
  const wanted = platforms === 'all' ? ['all'] : platforms;
  return wanted.map((platform) => {
    const image = named.find((other) => isSame(other.platform!, platform));
    if (image !== undefined) return [platform, image];
    const available = named.map((other) => other.platform).join(', ') || 'nothing';
    throw new CellarError('E_PLATFORM_UNAVAILABLE', { details: { source: location, platform, available } });
  });
}

async function offer(
  asking: Asking,
  { top, listed }: { top: Manifest; listed: ListedImage },
  seen: Seen,
): Promise<Offer> {
  const image = await readImage(asking, listed);
  const indexes = isIndex(top) ? [top, ...listed.indexes] : [];
  const companions = await findCompanions(asking, [image.manifest, ...indexes], listed.attached);
  return {
    ...seen,
    kind: 'oci',
    parts: makeParts(asking, { image, indexes, companions }),
    labels: {
      ...imageLabels(top.annotations),
      ...imageLabels(image.labels),
      ...imageLabels(image.manifest.annotations),
    },
  };
}

function imageLabels(annotations: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).filter(([name]) => name.startsWith('org.opencontainers.image.')),
  );
}

function isSame(a: Platform, b: Platform): boolean {
  return canonicalPlatform(a) === canonicalPlatform(b);
}
