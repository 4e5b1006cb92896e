/** Which images a manifest or an index holds, for which platforms, and what each is made of. */
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
import { getManifest, getSmallBlob } from '../remote/oci/registry.ts';
import { askAny, type Asking } from './oci-asking.ts';

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
export async function listImages(asking: Asking, top: Manifest): Promise<ListedImage[]> {
  if (isIndex(top)) {
    const all = await listIndex(asking, top, []);
    const byPlatform = new Map(all.toReversed().map((image) => [image.platform, image]));
    return all.filter((image) => byPlatform.get(image.platform) === image);
  }
  const platform = await platformOfManifest(asking, top);
  return [{ platform, manifest: top, indexes: [], attached: [] }];
}

/** @throws what the registry does, E_REGISTRY_INVALID when it lacks what its index lists */
export async function readImage(asking: Asking, { manifest: listed }: ListedImage): Promise<Image> {
  const manifest = 'bytes' in listed ? listed : await readManifest(asking, listed);
  const config = manifest.config && isImageConfig(manifest.config) ? manifest.config : undefined;
  if (config === undefined) return { manifest, labels: {} };
  const bytes = await readConfig(asking, config);
  return { manifest, config: bytes, labels: labelsOf(bytes) };
}

/** @throws what the registry does, E_REGISTRY_INVALID when it does not have it */
export async function readManifest(asking: Asking, { digest }: Descriptor): Promise<Manifest> {
  const reference = `sha256:${digest}`;
  const found = await askAny(asking, (registry) => getManifest(registry, reference, asking), {
    isPinned: true,
  });
  return found?.answer ?? missing(asking, reference);
}

/** @throws what the registry does, E_REGISTRY_INVALID when it does not have it */
export async function readSmallBlob(asking: Asking, descriptor: Descriptor): Promise<Buffer> {
  const found = await askAny(asking, (registry) => getSmallBlob(registry, descriptor, asking.signal), {
    isPinned: true,
  });
  return found?.answer ?? missing(asking, `sha256:${descriptor.digest}`);
}

const mostNesting = 3;
const mostEntries = 2000;
const configLimit = 8 << 20;
/** How BuildKit marks what it put beside an image, and names the image. */
const attachedTo = 'vnd.docker.reference.digest';

async function listIndex(
  asking: Asking,
  index: Manifest,
  above: readonly Manifest[],
): Promise<ListedImage[]> {
  if (above.length > mostNesting || index.manifests.length > mostEntries)
    throw new CellarError('E_REGISTRY_INVALID', {
      details: { url: asking.location, problem: 'an index that is too deep or too long' },
    });
  const images: ListedImage[] = [];
  for (const entry of index.manifests) {
    if (entry.annotations[attachedTo] !== undefined) continue;
    if (isIndex(entry)) {
      const nested = await readManifest(asking, entry);
      images.push(...(await listIndex(asking, nested, [...above, nested])));
      continue;
    }
    const attached = index.manifests.filter(
      ({ annotations }) => annotations[attachedTo] === `sha256:${entry.digest}`,
    );
    if (entry.platform !== undefined) {
      images.push({ platform: entry.platform, manifest: entry, indexes: above, attached });
      continue;
    }
    const manifest = await readManifest(asking, entry);
    const platform = await platformOfManifest(asking, manifest);
    images.push({ platform, manifest, indexes: above, attached });
  }
  return images;
}

async function platformOfManifest(asking: Asking, { config }: Manifest): Promise<Platform | undefined> {
  if (config === undefined || !isImageConfig(config)) return undefined;
  return platformOf(parseQuietly((await readConfig(asking, config)).toString()));
}

async function readConfig(asking: Asking, config: Descriptor): Promise<Buffer> {
  if (config.size > configLimit)
    throw new CellarError('E_REGISTRY_INVALID', {
      details: { url: asking.location, problem: `a configuration of ${config.size} bytes` },
    });
  return await readSmallBlob(asking, config);
}

function labelsOf(bytes: Buffer): Record<string, string> {
  const document = parseQuietly(bytes.toString());
  const config = isObject(document) && isObject(document['config']) ? document['config'] : {};
  const labels = isObject(config['Labels']) ? config['Labels'] : {};
  return Object.fromEntries(
    Object.entries(labels).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
  );
}

function missing({ location }: Asking, reference: string): never {
  throw new CellarError('E_REGISTRY_INVALID', {
    details: { url: location, problem: `it lists ${reference} and does not have it` },
  });
}
