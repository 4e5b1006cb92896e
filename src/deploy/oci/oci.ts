/** `oci:DIR`: an OCI image layout, in a directory that is switched by symlink. Source: OCI image-spec "Image Layout". */
import { renameSync, rmSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { ociImageOf } from './image.ts';
import { layoutFiles, tagOf, writeLayout } from './layout.ts';
import type { Target, TargetDriver, TargetOptions } from '../port.ts';
import { absolutePath } from '../path/target-path.ts';
import { versionedPath } from '../path/versioned-path.ts';

export const ociTarget: TargetDriver = {
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
      const image = await ociImageOf(version, bench);
      await writeLayout(partial, layoutFiles(image, { tag: tagOf(version.reference) }));
      renameSync(partial, place);
      writeFileAtomic(fromText(`${place}.json`), version.deploymentRecord);
      return {};
    },
    activate: async (id) => versions.activate(id),
    deactivate: async () => versions.deactivate(),
    tidy: () => versions.tidy(),
    async discard(id) {
      const place = versions.place(id);
      for (const name of [place, `${place}.partial`, `${place}.json`])
        rmSync(name, { recursive: true, force: true });
    },
  };
}
