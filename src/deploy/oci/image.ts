/**
 * A version as an OCI image: one that was pulled as such, byte for byte; a tree, as an image of one layer, which is the
 * same for the same tree wherever it is made. Sources: OCI image-spec, "Image Manifest" and "Image Configuration".
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { toText } from '../../core/bytes.ts';
import { sha256, sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Platform } from '../../core/platform.ts';
import { parseManifest } from '../../remote/oci/manifest.ts';
import { fileChunks } from '../../sys/file-chunks.ts';
import { compress } from '../../tree/compress/compress.ts';
import type { Entry } from '../../tree/entry.ts';
import { newestTime } from '../artifact/artifact.ts';
import { notAnImage } from '../version-kind.ts';
import { writeChunks } from '../write-chunks.ts';
import type { Version, Workbench } from '../port.ts';

export interface OciImage {
  readonly manifest: Buffer;
  readonly digest: Digest;
  readonly mediaType: string;
  readonly platform: Platform;
  /** Configuration and layers. */
  readonly blobs: ReadonlyMap<Digest, Blob>;
}

export interface Blob {
  /** Bytes. */
  readonly size: number;
  /** From its first byte; a chunk is valid until the next is asked for. @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED */
  readonly read: () => AsyncIterable<Buffer>;
}

/** What an image is made of. */
export type ImageVersion = Pick<Version, 'record' | 'tree' | 'reference'>;

/** Valid as long as the bench is. @throws E_USAGE for an image of kind file, E_UNSUPPORTED for a tree with whiteouts' names */
export async function ociImageOf(version: ImageVersion, bench: Workbench): Promise<OciImage> {
  const { record, tree } = version;
  if (record.kind === 'oci') return await storedImage(version, bench);
  if (tree !== undefined) return await imageOfTree(tree, record.platform, bench);
  throw notAnImage(version);
}

async function storedImage({ record, reference }: ImageVersion, bench: Workbench): Promise<OciImage> {
  const { content, platform } = record;
  const chunks: Buffer[] = [];
  for await (const chunk of bench.object(content)) chunks.push(Buffer.from(chunk));
  const manifest = Buffer.concat(chunks);
  const { mediaType, config, layers } = parseManifest(manifest, { url: reference });
  const blobs = [...(config === undefined ? [] : [config]), ...layers].map(
    ({ digest, size }): [Digest, Blob] => [digest, { size, read: () => bench.object(digest) }],
  );
  return { manifest, digest: content, mediaType, platform, blobs: new Map(blobs) };
}

const types = {
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  /** Every runtime reads gzip; older ones do not read zstd. */
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

async function imageOfTree(tree: Digest, platform: Platform, bench: Workbench): Promise<OciImage> {
  const entries = bench.entries(tree);
  refuseWhiteouts(entries);
  const file = join(bench.scratch, `layer-${tree.slice(0, 12)}`);
  const plain = sha256Stream();
  const packed = sha256Stream();
  const packing = compress(hashed(bench.tar(tree), plain), 'gzip', { signal: bench.signal });
  await writeChunks(file, hashed(packing, packed));
  const layer = { digest: packed.digest('hex'), size: statSync(file).size };
  const config = configOf(plain.digest('hex'), { platform, time: newestTime(entries) });
  const describe = (mediaType: string, { digest, size }: { digest: Digest; size: number }) => ({
    ...{ mediaType, digest: `sha256:${digest}`, size },
  });
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: types.manifest },
      config: describe(types.config, { digest: sha256(config), size: config.length }),
      layers: [describe(types.layer, layer)],
    }),
  );
  return {
    ...{ manifest, digest: sha256(manifest), mediaType: types.manifest, platform },
    blobs: new Map<Digest, Blob>([
      [sha256(config), blobOf(config)],
      [layer.digest, { size: layer.size, read: () => fileChunks(file, bench) }],
    ]),
  };
}

/** In a layer such a name is no file: it would be lost, and with some runtimes what it names beside it. */
function refuseWhiteouts(entries: readonly Entry[]): void {
  const found = entries.find(({ path }) => path.startsWith('.wh.', path.lastIndexOf('/') + 1));
  if (found === undefined) return;
  throw new CellarError('E_UNSUPPORTED', {
    details: {
      problem: `a layer cannot hold ${toText(found.path)}: names in .wh. stand for what is taken away`,
    },
    hint: 'leave such files out with --exclude when the tree is imported',
  });
}

/** `time` is the tree's newest: the clock of whoever makes the image is no part of it. */
function configOf(diffId: Digest, { platform, time }: { platform: Platform; time: number }): Buffer {
  const [os, architecture, variant] = platform.split('/');
  const created = new Date(Math.min(time, 253_402_300_799) * 1000).toISOString();
  return Buffer.from(
    JSON.stringify({
      ...{ created, architecture, os, variant, config: {} },
      rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] },
      history: [{ created, created_by: 'cellar' }],
    }),
  );
}

async function* hashed<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  hash: ReturnType<typeof sha256Stream>,
): AsyncGenerator<T> {
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}

/** One that is in memory. */
export function blobOf(bytes: Buffer): Blob {
  return {
    size: bytes.length,
    async *read() {
      yield bytes;
    },
  };
}
