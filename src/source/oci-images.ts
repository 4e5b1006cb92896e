/** Which images a manifest or an index holds, for which platforms, and what each is made of. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { isObject, parseQuietly } from '../remote/oci/json.ts';
import {
  isImageConfig,
  isIndex,
  platformOf,
  type Descriptor,
  type Manifest,
} from '../remote/oci/manifest.ts';
import type { ImagePlace } from './oci-place.ts';

export interface ListedImage {
  /** `undefined` for what is no container image, and where nothing says it. */
  readonly platform: Platform | undefined;
  readonly manifest: Manifest | Descriptor;
  /** Indexes between the top one and the image. */
  readonly indexes: readonly Manifest[];
  /** Entries of its index that say they belong to it. */
  readonly attached: readonly Descriptor[];
}

export interface Image {
  readonly manifest: Manifest;
  /** Its configuration, where it is a container image's. */
  readonly config?: Buffer;
  readonly labels: Readonly<Record<string, string>>;
}

/** Each platform once; of several that differ in details we have no words for, the first. @throws what the registry does */
export async function listImages(place: ImagePlace, top: Manifest): Promise<ListedImage[]> {
  if (isIndex(top)) {
    const all = await listIndex({ place, left: mostEntries }, top, []);
    const byPlatform = new Map(all.toReversed().map((image) => [image.platform, image]));
    return all.filter((image) => byPlatform.get(image.platform) === image);
  }
  const platform = await platformOfManifest(place, top);
  return [{ platform, manifest: top, indexes: [], attached: [] }];
}

/** @throws what the registry does, E_REGISTRY_INVALID when it lacks what its index lists */
export async function readImage(place: ImagePlace, { manifest: listed }: ListedImage): Promise<Image> {
  const manifest = 'bytes' in listed ? listed : await readManifest(place, listed);
  const config = manifest.config && isImageConfig(manifest.config) ? manifest.config : undefined;
  if (config === undefined) return { manifest, labels: {} };
  const bytes = await readConfig(place, config);
  return { manifest, config: bytes, labels: labelsOf(bytes) };
}

/** @throws what the registry does, E_REGISTRY_INVALID when it does not have it */
export async function readManifest(place: ImagePlace, { digest }: Descriptor): Promise<Manifest> {
  return (await place.manifest(digest)) ?? missing(place, digest);
}

/** @throws what the registry does, E_REGISTRY_INVALID when it does not have it */
export async function readSmallBlob(place: ImagePlace, descriptor: Descriptor): Promise<Buffer> {
  return (await place.blob(descriptor)) ?? missing(place, descriptor.digest);
}

const mostNesting = 3;
const mostEntries = 2000;
const configLimit = 8 << 20;
/** How BuildKit marks what it put beside an image, and names the image. */
const attachedTo = 'vnd.docker.reference.digest';

interface Listing {
  readonly place: ImagePlace;
  /** Entries that are still allowed, over all indexes: each may be one more question to the registry. */
  left: number;
}

async function listIndex(
  listing: Listing,
  index: Manifest,
  above: readonly Manifest[],
): Promise<ListedImage[]> {
  const { place } = listing;
  listing.left -= index.manifests.length;
  if (above.length > mostNesting || listing.left < 0)
    throw new CellarError('E_REGISTRY_INVALID', {
      details: { url: place.location, problem: 'an index that is too deep or too long' },
    });
  const attachments = Map.groupBy(index.manifests, ({ annotations }) => annotations[attachedTo]);
  const images: ListedImage[] = [];
  for (const entry of index.manifests) {
    if (entry.annotations[attachedTo] !== undefined) continue;
    if (isIndex(entry)) {
      const nested = await readManifest(place, entry);
      images.push(...(await listIndex(listing, nested, [...above, nested])));
      continue;
    }
    const attached = attachments.get(`sha256:${entry.digest}`) ?? [];
    if (entry.platform !== undefined) {
      images.push({ platform: entry.platform, manifest: entry, indexes: above, attached });
      continue;
    }
    const manifest = await readManifest(place, entry);
    const platform = await platformOfManifest(place, manifest);
    images.push({ platform, manifest, indexes: above, attached });
  }
  return images;
}

async function platformOfManifest(place: ImagePlace, { config }: Manifest): Promise<Platform | undefined> {
  if (config === undefined || !isImageConfig(config)) return undefined;
  return platformOf(parseQuietly((await readConfig(place, config)).toString()));
}

async function readConfig(place: ImagePlace, config: Descriptor): Promise<Buffer> {
  if (config.size > configLimit)
    throw new CellarError('E_REGISTRY_INVALID', {
      details: { url: place.location, problem: `a configuration of ${config.size} bytes` },
    });
  return await readSmallBlob(place, config);
}

function labelsOf(bytes: Buffer): Record<string, string> {
  const document = parseQuietly(bytes.toString());
  const config = isObject(document) && isObject(document['config']) ? document['config'] : {};
  const labels = isObject(config['Labels']) ? config['Labels'] : {};
  return Object.fromEntries(
    Object.entries(labels).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

function missing({ location }: ImagePlace, digest: Digest): never {
  throw new CellarError('E_REGISTRY_INVALID', {
    details: { url: location, problem: `it lists sha256:${digest} and does not have it` },
  });
}
