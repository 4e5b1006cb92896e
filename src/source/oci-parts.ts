/** An OCI image as parts: each content once, from memory where it was read already, else from the registry and its mirrors. */
import type { Digest } from '../core/digest.ts';
import { isForeignLayer, type Descriptor, type Manifest } from '../remote/oci/manifest.ts';
import { blobUrl } from '../remote/oci/registry.ts';
import type { Asking } from './oci-asking.ts';
import type { Companions } from './oci-companions.ts';
import type { Image } from './oci-images.ts';
import type { Locator, Part } from './port.ts';

export interface Found {
  readonly image: Image;
  /** The top one first; none when the tag names the image itself. */
  readonly indexes: readonly Manifest[];
  readonly companions: Companions;
}

export function makeParts(asking: Asking, { image, indexes, companions }: Found): Part[] {
  const parts = new Map<Digest, Part>();
  const add = (digest: Digest, part: Omit<Part, 'name' | 'sha256'>): void => {
    if (!parts.has(digest)) parts.set(digest, { ...part, name: `sha256:${digest}`, sha256: digest });
  };
  const addBytes = (role: Part['role'], digest: Digest, bytes: Buffer): void =>
    add(digest, { role, size: bytes.length, from: { type: 'bytes', bytes } });
  const addBlobs = (manifest: Manifest): void => {
    for (const descriptor of [
      ...(manifest.config === undefined ? [] : [manifest.config]),
      ...manifest.layers,
    ])
      add(descriptor.digest, { role: 'blob', size: descriptor.size, from: whereIs(asking, descriptor) });
  };

  addBytes('content', image.manifest.digest, image.manifest.bytes);
  if (image.config !== undefined) addBytes('blob', image.manifest.config!.digest, image.config);
  addBlobs(image.manifest);
  for (const index of indexes.slice(1)) addBytes('blob', index.digest, index.bytes);
  for (const manifest of companions.manifests) addBytes('blob', manifest.digest, manifest.bytes);
  for (const [digest, bytes] of companions.contents) addBytes('blob', digest, bytes);
  for (const manifest of companions.manifests) addBlobs(manifest);
  const [top] = indexes;
  return [...parts.values(), ...(top === undefined ? [] : [attachment(top)])];
}

function attachment({ bytes, digest }: Manifest): Part {
  return {
    role: 'attachment',
    name: 'index.json',
    size: bytes.length,
    sha256: digest,
    from: { type: 'bytes', bytes },
  };
}

/** Foreign layers come from where their maker says; the registry may still have them. */
function whereIs({ registries }: Asking, descriptor: Descriptor): Locator {
  const own = registries.map(({ repository }) => blobUrl(repository, descriptor.digest));
  const urls = isForeignLayer(descriptor) ? [...descriptor.urls, ...own] : own;
  const client = registries[0]?.client;
  return { type: 'http', urls, ...(client === undefined ? {} : { client }) };
}
