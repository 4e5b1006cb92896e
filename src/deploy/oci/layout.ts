/**
 * The files of an OCI image layout, for a directory or for an archive; with one file more, the same files are what
 * `docker load` reads. Sources: OCI image-spec "Image Layout"; moby image/spec, "Combined Image JSON + Filesystem
 * Changeset Format" (manifest.json), whose paths may be any.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseManifest } from '../../remote/oci/manifest.ts';
import { syncfsAsync } from '../../sys/syncfs.ts';
import { noXattrs } from '../../tree/entry.ts';
import { paddingOf } from '../../tree/tar/block.ts';
import { tarEnd, tarMember } from '../../tree/tar/write.ts';
import { blobOf, type Blob, type OciImage } from './image.ts';
import { writeChunks } from '../write-chunks.ts';

export interface LayoutFile extends Blob {
  /** Within the layout, without a slash before it. */
  readonly path: string;
}

export interface LayoutNames {
  /** By which tools name the image in the layout. */
  readonly tag: string;
  /** The whole name, for tools that load it into a storage of images. */
  readonly name?: string | undefined;
  /** With a `manifest.json` for Docker. */
  readonly docker?: boolean;
}

/** Small ones first. Each is what it is called after, hashed while it is read. */
export function layoutFiles(image: OciImage, { tag, name, docker }: LayoutNames): LayoutFile[] {
  const { digest, manifest, mediaType, platform } = image;
  const [os, architecture, variant] = platform.split('/');
  const entry = {
    ...{ mediaType, digest: `sha256:${digest}`, size: manifest.length },
    platform: { architecture, os, variant },
    annotations: {
      'org.opencontainers.image.ref.name': tag,
      // What containerd and podman call it after an import.
      ...(name === undefined ? {} : { 'io.containerd.image.name': name }),
    },
  };
  const index = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [entry],
  };
  return [
    fileOf('oci-layout', '{"imageLayoutVersion":"1.0.0"}'),
    fileOf('index.json', JSON.stringify(index)),
    ...(docker === true ? [fileOf('manifest.json', dockerManifest(image, name))] : []),
    fileOf(blobPath(digest), manifest),
    ...[...image.blobs].map(([name, blob]) => ({ path: blobPath(name), ...blob })),
  ];
}

/** Into a directory that is absent; on the medium afterwards. */
export async function writeLayout(directory: string, files: readonly LayoutFile[]): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const fd = openSync(directory, 'r');
  try {
    for (const { path, read } of files) {
      const file = join(directory, path);
      mkdirSync(dirname(file), { recursive: true });
      await writeChunks(file, read(), 0o644);
    }
    await syncfsAsync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The same bytes for the same image and names. A chunk is valid until the next is asked for. */
export async function* layoutArchive(files: readonly LayoutFile[]): AsyncGenerator<Buffer> {
  let bytes = 0;
  const meta = { uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, rdev: 0 };
  for (const directory of ['/blobs', '/blobs/sha256']) {
    const header = tarMember({ path: directory, type: 'directory', mode: 0o755, size: 0, ...meta }, bare)!;
    bytes += header.length;
    yield header;
  }
  for (const { path, size, read } of files) {
    const header = tarMember({ path: `/${path}`, type: 'file', mode: 0o644, size, ...meta }, bare)!;
    yield header;
    for await (const chunk of read()) yield chunk;
    const padding = paddingOf(size);
    if (padding > 0) yield Buffer.alloc(padding);
    bytes += header.length + size + padding;
  }
  yield tarEnd(bytes);
}

/** Readers of such archives compare names as they are. */
const bare = { bare: true };

/** Tools name an image in a layout by a tag. */
export function tagOf(reference: string): string {
  return /:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$/.exec(reference)?.[1] ?? 'latest';
}

function dockerManifest({ manifest }: OciImage, name: string | undefined): string {
  const { config, layers } = parseManifest(manifest, { url: name ?? 'the image' });
  return JSON.stringify([
    {
      ...(config === undefined ? {} : { Config: blobPath(config.digest) }),
      RepoTags: name === undefined ? null : [name],
      Layers: layers.map(({ digest }) => blobPath(digest)),
    },
  ]);
}

function blobPath(digest: string): string {
  return `blobs/sha256/${digest}`;
}

function fileOf(path: string, content: string | Buffer): LayoutFile {
  return { path, ...blobOf(Buffer.from(content)) };
}
