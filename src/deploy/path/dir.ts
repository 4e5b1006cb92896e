/** `dir:PATH`: a tree at a path, such as a virtualenv or an application, switched by symlink. */
import type { TargetDriver } from '../port.ts';
import { absolutePath } from './target-path.ts';
import { treeAt } from './tree-target.ts';

export const dirTarget: TargetDriver = {
  open(rest, options) {
    const path = absolutePath('dir', rest);
    return treeAt({ name: `dir:${path}`, path, writable: false, seesUsers: false }, options);
  },
};
