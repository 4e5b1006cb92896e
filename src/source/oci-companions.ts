/**
 * What belongs to an image without being part of it: signatures, attestations, bills of materials. They are found as
 * referrers, under the tags that cosign makes of a digest, and as marked entries of the image's index.
 */
import { CellarError } from '../core/errors.ts';
import { sha256, type Digest } from '../core/digest.ts';
import { isIndex, type Descriptor, type Manifest } from '../remote/oci/manifest.ts';
import { readManifest, readSmallBlob } from './oci-images.ts';
import type { ImagePlace } from './oci-place.ts';

export interface Companions {
  readonly manifests: readonly Manifest[];
  /** Contents that are needed before anything is transferred: what signatures sign, and bundles of them. */
  readonly contents: ReadonlyMap<Digest, Buffer>;
}

export const simpleSigningType = 'application/vnd.dev.cosign.simplesigning.v1+json';

export function isSigstoreBundle({ mediaType }: Pick<Descriptor, 'mediaType'>): boolean {
  return /^application\/vnd\.dev\.sigstore\.bundle[.+]/.test(mediaType);
}

/**
 * Of an image, and of the indexes it was chosen from. A registry that refuses to speak of them has none; a policy
 * that wants a signature fails then.
 * @param attached entries that an index lists for this image
 * @throws what the registry does, E_REGISTRY_INVALID
 */
export async function findCompanions(
  place: ImagePlace,
  subjects: readonly Manifest[],
  attached: readonly Descriptor[],
): Promise<Companions> {
  const found = await Promise.all([
    ...subjects.flatMap(({ digest }) => [
      referrersOf(place, digest),
      ...tagSuffixes.map((suffix) => taggedManifest(place, `sha256-${digest}${suffix}`)),
    ]),
    followAll(place, attached, 0),
  ]);
  const manifests = new Map(found.flat().map((manifest) => [manifest.digest, manifest]));
  for (const { digest } of subjects) manifests.delete(digest);
  const wanted = [...manifests.values()].flatMap(({ layers }) => layers).filter(isEvidence);
  const contents = new Map<Digest, Buffer>();
  await Promise.all(
    wanted.map(async (layer) => {
      const bytes = await readSmallBlob(place, layer);
      contents.set(sha256(bytes), bytes);
    }),
  );
  return { manifests: [...manifests.values()], contents };
}

const tagSuffixes = ['.sig', '.att', '.sbom'];
const mostEvidence = 1 << 20;
const mostNesting = 2;
const mostReferrers = 1000;

async function referrersOf(place: ImagePlace, digest: Digest): Promise<Manifest[]> {
  return await followAll(place, await place.referrers(digest), 0);
}

async function taggedManifest(place: ImagePlace, tag: string): Promise<Manifest[]> {
  const found = await place.tagged(tag);
  return found === undefined ? [] : await withContents(place, found, 0);
}

async function followAll(
  place: ImagePlace,
  entries: readonly Descriptor[],
  depth: number,
): Promise<Manifest[]> {
  if (entries.length > mostReferrers)
    throw new CellarError('E_REGISTRY_INVALID', {
      details: { url: place.location, problem: `more than ${mostReferrers} referrers` },
    });
  const manifests = await Promise.all(entries.map((entry) => readManifest(place, entry)));
  return (await Promise.all(manifests.map((manifest) => withContents(place, manifest, depth)))).flat();
}

async function withContents(place: ImagePlace, manifest: Manifest, depth: number): Promise<Manifest[]> {
  if (!isIndex(manifest) || depth === mostNesting) return [manifest];
  return [manifest, ...(await followAll(place, manifest.manifests, depth + 1))];
}

function isEvidence(layer: Descriptor): boolean {
  return (layer.mediaType === simpleSigningType || isSigstoreBundle(layer)) && layer.size <= mostEvidence;
}
