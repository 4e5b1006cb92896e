/**
 * OCI image layouts, in a directory or an archive: which of the images in one is meant, and its blobs. Source: OCI
 * image-spec "Image Layout". containerd, buildx and cosign name what they put there by annotations of their own.
 */
import { sha256, type Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import {
  isForeignLayer,
  isIndex,
  manifestLimit,
  parseManifest,
  type Descriptor,
  type Manifest,
} from '../remote/oci/manifest.ts';
import { readRange, type ImageFiles } from './image-files.ts';
import type { ImageChoice } from './image-location.ts';
import { gone, invalid } from './location.ts';
import type { ImagePlace } from './oci-place.ts';
import type { Locator } from './port.ts';

export interface Layout {
  readonly place: ImagePlace;
  /** The image that was asked for, or the index of several that are one image for different platforms. */
  readonly top: Manifest;
}

/** @throws E_SOURCE_GONE, E_SOURCE_INVALID, E_CHECKSUM_MISMATCH, E_REGISTRY_INVALID */
export function openLayout(files: ImageFiles, location: string, choice: ImageChoice): Layout {
  const range = files.find('index.json');
  const bytes = range === undefined ? undefined : readRange(range, manifestLimit);
  if (bytes === undefined) throw gone(location, 'it is no image layout: it has no index.json');
  const index = parseManifest(bytes, { url: location });
  if (!isIndex(index)) throw invalid(location, 'its index.json is no index');
  const place = layoutPlace(files, location, index);
  return { place, top: chooseTop(place, index, choice) };
}

const mostBlob = 8 << 20;

interface LayoutPlace extends ImagePlace {
  read(digest: Digest): Manifest | undefined;
  /** What the manifest belongs to; read once, however often an index lists it. */
  subjectOf(digest: Digest): Digest | undefined;
}

function layoutPlace(files: ImageFiles, location: string, index: Manifest): LayoutPlace {
  const readBlob = (digest: Digest, limit: number): Buffer | undefined => {
    const range = files.find(`blobs/sha256/${digest}`);
    const bytes = range === undefined ? undefined : readRange(range, limit);
    if (bytes === undefined) return undefined;
    const found = sha256(bytes);
    if (found === digest) return bytes;
    const source = `${location} (blobs/sha256/${digest})`;
    throw new CellarError('E_CHECKSUM_MISMATCH', { details: { source, found, wanted: digest } });
  };
  const read = (digest: Digest): Manifest | undefined => {
    const bytes = readBlob(digest, manifestLimit);
    return bytes === undefined ? undefined : parseManifest(bytes, { url: location });
  };
  const subjects = new Map<Digest, Digest | undefined>();
  const subjectOf = (digest: Digest): Digest | undefined => {
    if (!subjects.has(digest)) subjects.set(digest, read(digest)?.subject?.digest);
    return subjects.get(digest);
  };
  return {
    location,
    read,
    subjectOf,
    manifest: async (digest) => read(digest),
    blob: async ({ digest }) => readBlob(digest, mostBlob),
    referrers: async (digest) =>
      index.manifests.filter((entry) => !isIndex(entry) && subjectOf(entry.digest) === digest),
    async tagged(tag) {
      const entry = index.manifests.find(
        (other) => namesOf(other).includes(tag) || isSavedSignature(other, tag),
      );
      return entry === undefined ? undefined : read(entry.digest);
    },
    locate: (descriptor) => locate(files, descriptor, location),
  };
}

/** Foreign layers may be left out. */
function locate(files: ImageFiles, descriptor: Descriptor, location: string): Locator {
  const range = files.find(`blobs/sha256/${descriptor.digest}`);
  if (range !== undefined) return { type: 'file', ...range };
  if (isForeignLayer(descriptor) && descriptor.urls.length > 0)
    return { type: 'http', urls: descriptor.urls };
  throw gone(location, `it lacks blob sha256:${descriptor.digest}`);
}

function chooseTop(place: LayoutPlace, index: Manifest, choice: ImageChoice): Manifest {
  const { location } = place;
  const images = index.manifests.filter((entry) => !isCompanion(entry, place));
  const chosen = matching(images, index.manifests, choice);
  const [first] = chosen;
  if (first === undefined) throw gone(location, `it holds no such image; it has ${listed(images)}`);
  if (chosen.every(({ digest }) => digest === first.digest)) {
    const top = place.read(first.digest);
    if (top === undefined) throw gone(location, `it lacks blob sha256:${first.digest}`);
    return top;
  }
  const names = new Set(chosen.map((entry) => namesOf(entry).join()));
  const platforms = new Set(chosen.map(({ platform }) => platform));
  if (names.size === 1 && platforms.size === chosen.length && !platforms.has(undefined))
    return { ...index, manifests: chosen };
  throw invalid(location, `it holds ${listed(images)}; add one of them after a colon`);
}

/** What lies there for an image, and is none itself. */
function isCompanion(entry: Descriptor, place: LayoutPlace): boolean {
  if (namesOf(entry).some((name) => /^sha256-[0-9a-f]{64}(?:\.|$)/.test(name))) return true;
  const kind = entry.annotations['kind'];
  if (kind !== undefined && /^dev\.cosignproject\.cosign\/(?!image)/.test(kind)) return true;
  return !isIndex(entry) && place.subjectOf(entry.digest) !== undefined;
}

function matching(
  images: readonly Descriptor[],
  all: readonly Descriptor[],
  choice: ImageChoice,
): readonly Descriptor[] {
  if (choice.kind === 'only') return images;
  if (choice.kind === 'index') return images.slice(choice.index, choice.index + 1);
  if (choice.kind === 'digest') return all.filter(({ digest }) => digest === choice.digest);
  return all.filter((entry) => namesOf(entry).includes(choice.name));
}

const nameAnnotations = ['org.opencontainers.image.ref.name', 'io.containerd.image.name'];

function namesOf({ annotations }: Descriptor): string[] {
  return nameAnnotations.flatMap((name) => annotations[name] ?? []);
}

/** `cosign save` does not say of which image; whoever checks the signature finds out. */
function isSavedSignature({ annotations }: Descriptor, tag: string): boolean {
  const suffix = { '.sig': 'sigs', '.att': 'atts', '.sbom': 'sboms' }[/\.[a-z]+$/.exec(tag)?.[0] ?? ''];
  return suffix !== undefined && annotations['kind'] === `dev.cosignproject.cosign/${suffix}`;
}

function listed(images: readonly Descriptor[]): string {
  const names = images.map((entry) => namesOf(entry)[0] ?? `sha256:${entry.digest}`);
  const few = [...new Set(names)].slice(0, 20).join(', ');
  return names.length === 0 ? 'none' : `${few}${names.length > 20 ? ' …' : ''}`;
}
