/** Offers of an image place: the images of a manifest or an index that were asked for, and all that belongs to each. */
import { CellarError } from '../core/errors.ts';
import { canonicalPlatform, type Platform } from '../core/platform.ts';
import { isIndex, type Manifest } from '../remote/oci/manifest.ts';
import { boundedPlace } from './oci-bounds.ts';
import { onlyPlatform } from './ask.ts';
import { findCompanions } from './oci-companions.ts';
import { listImages, readImage, type ListedImage } from './oci-images.ts';
import { makeParts } from './oci-parts.ts';
import type { ImagePlace } from './oci-place.ts';
import type { Offer, Query, Seen } from './port.ts';

/**
 * Revision: the digest of `top`, the index where there is one. What platforms that has is kept as the ETag.
 * @throws what the place does, E_REGISTRY_INVALID, E_PLATFORM_UNAVAILABLE
 */
export async function offerImages(whole: ImagePlace, top: Manifest, query: Query): Promise<Offer[]> {
  const place = boundedPlace(whole);
  const images = await listImages(place, top);
  const chosen = choose(images, place.location, query.platforms);
  const revision = `sha256:${top.digest}`;
  const etag = images.flatMap(({ platform }) => platform ?? []).join(' ');
  return await Promise.all(
    chosen.map(async ([platform, listed]) => {
      const seen = { platform, revision, ...(etag === '' ? {} : { etag }) };
      const isKnown = query.known.some((old) => isSame(old.platform, platform) && old.revision === revision);
      return isKnown ? unchanged(seen) : await offer(place, { top, listed }, seen);
    }),
  );
}

export function unchanged(seen: Seen): Offer {
  return { ...seen, kind: 'oci', unchanged: true, parts: [], labels: {} };
}

export function isSame(a: Platform, b: Platform): boolean {
  return canonicalPlatform(a) === canonicalPlatform(b);
}

/** Images of which the platform is unknown (an artifact) answer for whatever is asked first. */
function choose(
  images: readonly ListedImage[],
  location: string,
  platforms: Query['platforms'],
): (readonly [Platform, ListedImage])[] {
  const only = images.length === 1 && images[0]!.platform === undefined ? images[0] : undefined;
  if (only !== undefined) return [[onlyPlatform({ platforms }), only]];
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
  place: ImagePlace,
  { top, listed }: { top: Manifest; listed: ListedImage },
  seen: Seen,
): Promise<Offer> {
  const image = await readImage(place, listed);
  const indexes = isIndex(top) ? [top, ...listed.indexes] : [];
  const companions = await findCompanions(place, [image.manifest, ...indexes], listed.attached);
  return {
    ...seen,
    kind: 'oci',
    parts: makeParts(place, { image, indexes, companions }),
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
