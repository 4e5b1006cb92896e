/**
 * What `docker save` writes (and skopeo, podman, kaniko and Bazel after it): a manifest.json that lists, for each image,
 * its configuration and its layers by file name, and no OCI manifest. One is made here, the same for the same archive
 * content: JSON without spaces, keys in the order of the specification, layers as they are stored (mostly not packed),
 * so that its digest names the image whichever tool wrote the archive around it.
 */
import { isDigest, sha256, sha256Stream, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { isObject, parseQuietly } from '../remote/oci/json.ts';
import { manifestLimit, parseManifest, type Manifest } from '../remote/oci/manifest.ts';
import { fileChunks } from '../sys/file-chunks.ts';
import { detectCompression } from '../tree/compress/detect.ts';
import type { ImageChoice } from './image-location.ts';
import { readRange, type FileRange, type ImageFiles } from './image-files.ts';
import { gone, invalid } from './location.ts';
import type { Layout } from './oci-layout.ts';

/** @throws E_SOURCE_GONE, E_SOURCE_INVALID, E_ARCHIVE_FORMAT */
export async function openDockerArchive(
  files: ImageFiles,
  choice: ImageChoice,
  options: { readonly location: string; readonly signal: AbortSignal },
): Promise<Layout> {
  const { location, signal } = options;
  const images = readList(files, location);
  const deriving = { location, hash: hashingOnce(signal) };
  const chosen = await choose(images, choice, (image) => derive(files, image, deriving));
  if (chosen.length > 1 && choice.kind !== 'digest')
    throw invalid(location, `it holds ${listed(images)}; add one of them (or @0, @1 …) after a colon`);
  const [image] = chosen;
  if (image === undefined) throw gone(location, `it holds no such image; it has ${listed(images)}`);
  const { manifest, blobs } = 'manifest' in image ? image : await derive(files, image, deriving);
  return {
    top: manifest,
    place: {
      location,
      manifest: async (digest) => (digest === manifest.digest ? manifest : undefined),
      blob: async ({ digest }) => readBlob(blobs, digest),
      referrers: async () => [],
      tagged: async () => undefined,
      locate: ({ digest }) => ({ type: 'file', ...blobs.get(digest)! }),
    },
  };
}

const configLimit = 8 << 20;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const configType = 'application/vnd.oci.image.config.v1+json';
const layerType = 'application/vnd.oci.image.layer.v1.tar';

/** An image as manifest.json lists it. */
interface Listed {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

interface Derived {
  readonly manifest: Manifest;
  readonly blobs: ReadonlyMap<Digest, FileRange>;
}

function readList(files: ImageFiles, location: string): readonly Listed[] {
  const range = files.find('manifest.json');
  if (range === undefined) {
    const isOld = files.find('repositories') !== undefined;
    throw broken(location, isOld ? 'docker before 1.10 wrote it' : 'it has no manifest.json');
  }
  const list = parseQuietly(readRange(range, manifestLimit)?.toString() ?? '');
  if (!Array.isArray(list) || list.length === 0) throw broken(location, 'its manifest.json lists no images');
  return list.map((image: unknown) => {
    const { Config: config, RepoTags: tags, Layers: layers } = isObject(image) ? image : {};
    if (typeof config !== 'string' || !isListOfText(layers))
      throw broken(location, 'its manifest.json is broken');
    return { config, layers, tags: isListOfText(tags) ? tags : [] };
  });
}

async function choose(
  images: readonly Listed[],
  choice: ImageChoice,
  derived: (image: Listed) => Promise<Derived>,
): Promise<readonly (Listed | Derived)[]> {
  if (choice.kind === 'only') return images;
  if (choice.kind === 'index') return images.slice(choice.index, choice.index + 1);
  if (choice.kind === 'name') {
    const name = fullName(choice.name);
    return images.filter(({ tags }) => tags.some((tag) => fullName(tag) === name));
  }
  const all = await Promise.all(images.map(derived));
  return all.filter(({ manifest }) => [manifest.digest, manifest.config?.digest].includes(choice.digest));
}

async function derive(
  files: ImageFiles,
  { config: configName, layers: names }: Listed,
  { location, hash }: { readonly location: string; readonly hash: (range: FileRange) => Promise<Digest> },
): Promise<Derived> {
  const blobs = new Map<Digest, FileRange>();
  const find = (name: string): FileRange => {
    const range = files.find(name);
    if (range === undefined) throw broken(location, `it lacks ${JSON.stringify(name.slice(0, 200))}`);
    return range;
  };
  const range = find(configName);
  const bytes = readRange(range, configLimit);
  if (bytes === undefined) throw broken(location, 'the configuration of an image is too large');
  const digests = layerDigests(bytes);
  if (digests?.length !== names.length)
    throw broken(location, 'the configuration of an image does not fit its layers');
  blobs.set(sha256(bytes), range);
  const layers: object[] = [];
  for (const [at, name] of names.entries()) {
    const layer = find(name);
    const packing = detectCompression(readRange({ ...layer, length: Math.min(layer.length, 512) }, 512)!);
    if (packing !== 'none' && packing !== 'gzip' && packing !== 'zstd')
      throw broken(location, `a layer is packed with ${packing}`);
    const digest = packing === 'none' ? digests[at]! : await hash(layer);
    blobs.set(digest, layer);
    const mediaType = packing === 'none' ? layerType : `${layerType}+${packing}`;
    layers.push({ mediaType, digest: `sha256:${digest}`, size: layer.length });
  }
  const config = { mediaType: configType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  const text = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config, layers });
  return { manifest: parseManifest(Buffer.from(text), { url: location }), blobs };
}

/** Of the layers as they are unpacked, which the transfer then checks them against. */
function layerDigests(config: Buffer): readonly Digest[] | undefined {
  const document = parseQuietly(config.toString());
  const rootfs = isObject(document) && isObject(document['rootfs']) ? document['rootfs'] : {};
  const ids = rootfs['diff_ids'] ?? [];
  if (!isListOfText(ids)) return undefined;
  const digests = ids.map((id) => id.replace(/^sha256:/, ''));
  return digests.every(isDigest) ? digests : undefined;
}

/** A list may name one layer any number of times, in one image or in many. */
function hashingOnce(signal: AbortSignal): (range: FileRange) => Promise<Digest> {
  const hashes = new Map<number, Promise<Digest>>();
  return (range) => {
    const known = hashes.get(range.offset) ?? hashRange(range, signal);
    hashes.set(range.offset, known);
    return known;
  };
}

async function hashRange({ path, offset, length }: FileRange, signal: AbortSignal): Promise<Digest> {
  const hasher = sha256Stream();
  for await (const chunk of fileChunks(path, { offset, length, signal })) hasher.update(chunk);
  return hasher.digest('hex');
}

function readBlob(blobs: ReadonlyMap<Digest, FileRange>, digest: Digest): Buffer | undefined {
  const range = blobs.get(digest);
  return range === undefined ? undefined : readRange(range, configLimit);
}

/** Tools agree on what a short name means: Docker Hub's, and `latest`. */
function fullName(name: string): string {
  const short = name.replace(/^(?:index\.)?docker\.io\//, '').replace(/^library\//, '');
  return /[:@][^/]*$/.test(short) ? short : `${short}:latest`;
}

function isListOfText(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function listed(images: readonly Listed[]): string {
  const names = images.slice(0, 20).map(({ tags }, index) => tags[0] ?? `@${index}`);
  return `${names.join(', ')}${images.length > 20 ? ' …' : ''}`;
}

function broken(source: string, problem: string): CellarError {
  return new CellarError('E_ARCHIVE_FORMAT', {
    details: { source, problem },
    hint: 'write it again with skopeo copy, podman save or docker save',
  });
}
