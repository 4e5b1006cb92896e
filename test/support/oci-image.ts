/** OCI images from layers as bytes, laid out as the image specification has it, for readers of ours and of others. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';

export interface ImageOptions {
  readonly packing?: 'none' | 'gzip' | 'zstd';
  readonly architecture?: string;
}

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly bytes: Buffer;
}

export interface BuiltImage {
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

export type Descriptor = Omit<Blob, 'bytes'> & Readonly<Record<string, unknown>>;

/** `layers` are tar archives, from the lowest up. */
export function buildImage(layers: readonly Buffer[], options: ImageOptions = {}): BuiltImage {
  const { packing = 'gzip', architecture = 'amd64' } = options;
  const suffix = packing === 'none' ? '' : `+${packing}`;
  const packed = layers.map((tar) =>
    blob(`application/vnd.oci.image.layer.v1.tar${suffix}`, pack(tar, packing)),
  );
  const config = jsonBlob('application/vnd.oci.image.config.v1+json', {
    architecture,
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map((tar) => `sha256:${sha256(tar)}`) },
  });
  const manifest = jsonBlob('application/vnd.oci.image.manifest.v1+json', {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor(config),
    layers: packed.map((layer) => descriptor(layer)),
  });
  return { manifest, config, layers: packed };
}

/** An image layout with these manifests, by reference name; `descriptors` are taken into its index as they are. */
export function writeLayout(
  directory: string,
  images: Readonly<Record<string, BuiltImage>>,
  extra: { readonly blobs?: readonly Blob[]; readonly descriptors?: readonly Descriptor[] } = {},
): void {
  mkdirSync(join(directory, 'blobs/sha256'), { recursive: true });
  writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const all = Object.values(images).flatMap(({ manifest, config, layers }) => [manifest, config, ...layers]);
  for (const { digest, bytes } of [...all, ...(extra.blobs ?? [])])
    writeFileSync(join(directory, 'blobs', digest.replace(':', '/')), bytes);
  const manifests = [
    ...Object.entries(images).map(([name, { manifest }]) =>
      descriptor(manifest, { annotations: { 'org.opencontainers.image.ref.name': name } }),
    ),
    ...(extra.descriptors ?? []),
  ];
  writeFileSync(join(directory, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

export function descriptor(
  { mediaType, digest, size }: Blob,
  more: Readonly<Record<string, unknown>> = {},
): Descriptor {
  return { mediaType, digest, size, ...more };
}

export function jsonBlob(mediaType: string, value: unknown): Blob {
  return blob(mediaType, Buffer.from(JSON.stringify(value)));
}

export function blob(mediaType: string, bytes: Buffer): Blob {
  return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length, bytes };
}

function pack(tar: Buffer, packing: 'none' | 'gzip' | 'zstd'): Buffer {
  if (packing === 'none') return tar;
  return packing === 'gzip' ? gzipSync(tar) : zstdCompressSync(tar);
}

export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
