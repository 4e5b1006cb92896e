/** `dir:PATH`: a tree at a path, such as a virtualenv or an application, switched by symlink. */
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { fromText } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { absolutePath } from './target-path.ts';
import type { Target, TargetKind, TargetOptions } from './port.ts';
import { versionedPath } from './versioned-path.ts';

export const dirTarget: TargetKind = {
  kind: 'dir',
  summary: 'a tree at a path, switched by symlink',
  open: openDir,
};

function openDir(rest: string, options: TargetOptions): Target {
  const path = absolutePath('dir', rest);
  const versions = versionedPath(path, options);
  return {
    name: `dir:${path}`,
    path,
    writable: false,
    look: async () => ({ ...versions.look(), users: [] }),
    async stage({ id, tree, writable, deploymentRecord, record }, bench) {
      if (tree === undefined)
        throw new CellarError('E_NOT_A_TREE', {
          details: { reference: `dir:${path}`, kind: record.kind },
          hint: `'file:${path}' takes a file`,
        });
      versions.prepare();
      const place = versions.place(id);
      const wishes = options.method === undefined ? {} : { method: options.method };
      const { method } = await bench.checkout(tree, place, { writable, ...wishes });
      if (options.mode !== undefined && writable) chmodSync(place, options.mode);
      if (options.owner !== undefined && writable) chownSync(place, options.owner.uid, options.owner.gid);
      writeFileAtomic(fromText(`${place}.json`), deploymentRecord);
      return { method };
    },
    activate: async (id) => versions.activate(id),
    deactivate: async () => versions.deactivate(),
    async discard(id, bench) {
      await bench.release(versions.place(id));
      rmSync(`${versions.place(id)}.json`, { force: true });
    },
  };
}
