/** An OCI image as parts: each content once, from memory where it was read already, else from where the image lies. */
import type { Digest } from '../core/digest.ts';
import type { Manifest } from '../remote/oci/manifest.ts';
import type { Companions } from './oci-companions.ts';
import type { Image } from './oci-images.ts';
import type { ImagePlace } from './oci-place.ts';
import type { Part } from './port.ts';

export interface Found {
  readonly image: Image;
  /** The top one first; none when the tag names the image itself. */
  readonly indexes: readonly Manifest[];
  readonly companions: Companions;
}

export function makeParts(place: ImagePlace, { image, indexes, companions }: Found): Part[] {
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
      add(descriptor.digest, { role: 'blob', size: descriptor.size, from: place.locate(descriptor) });
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
