/** `oci:DIR`: an OCI image layout, in a directory that is switched by symlink. Source: OCI image-spec "Image Layout". */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromText } from '../core/bytes.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { syncfsAsync } from '../sys/syncfs.ts';
import { writeChunks } from './artifact.ts';
import { imageOf, type OciImage } from './image-of.ts';
import type { Target, TargetKind, TargetOptions } from './port.ts';
import { absolutePath } from './target-path.ts';
import { versionedPath } from './versioned-path.ts';

export const ociTarget: TargetKind = {
  kind: 'oci',
  summary: 'an OCI image layout in a directory',
  open: openOci,
};

function openOci(rest: string, options: TargetOptions): Target {
  const path = absolutePath('oci', rest);
  const versions = versionedPath(path, options);
  return {
    name: `oci:${path}`,
    path,
    writable: false,
    takesImages: true,
    look: async () => ({ ...versions.look(), users: [] }),
    async stage(version, bench) {
      versions.prepare();
      const place = versions.place(version.id);
      const partial = `${place}.partial`;
      rmSync(partial, { recursive: true, force: true });
      await writeLayout(partial, await imageOf(version, bench), tagOf(version.reference));
      renameSync(partial, place);
      writeFileAtomic(fromText(`${place}.json`), version.deploymentRecord);
      return {};
    },
    activate: async (id) => versions.activate(id),
    deactivate: async () => versions.deactivate(),
    async discard(id) {
      const place = versions.place(id);
      for (const name of [place, `${place}.partial`, `${place}.json`])
        rmSync(name, { recursive: true, force: true });
    },
  };
}

async function writeLayout(directory: string, image: OciImage, tag: string): Promise<void> {
  const { digest, manifest, mediaType, platform } = image;
  const blobs = join(directory, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const fd = openSync(directory, 'r');
  try {
    for (const [name, blob] of image.blobs) await writeChunks(join(blobs, name), blob.read(), 0o644);
    writeFileSync(join(blobs, digest), manifest);
    const [os, architecture, variant] = platform.split('/');
    const entry = {
      ...{ mediaType, digest: `sha256:${digest}`, size: manifest.length },
      platform: { architecture, os, variant },
      annotations: { 'org.opencontainers.image.ref.name': tag },
    };
    const index = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [entry],
    };
    writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
    writeFileSync(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    await syncfsAsync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Tools name an image in a layout by a tag. */
function tagOf(reference: string): string {
  return /:([A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$/.exec(reference)?.[1] ?? 'latest';
}
