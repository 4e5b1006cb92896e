/** Who needs which object, so that what goes with an image is told exactly, object by object, before any of it goes. */
import { lstatSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import type { ImageRecord } from '../core/record.ts';
import { imageObjects, treeOf } from './blobs.ts';
import { objectFile, treeFile } from './layout.ts';
import type { Roots } from './roots.ts';
import type { Store } from './store.ts';
import { treeObjects } from './trees.ts';

export interface Owners {
  /** Takes one image away. @returns bytes on disk that nobody needs any more */
  release(image: Digest): number;
}

/** Of all that `roots` keep. `arriving`: objects of what is about to be stored, and stays. */
export function countOwners(store: Store, roots: Roots, arriving: Iterable<Digest> = []): Owners {
  const records = new Map<Digest, ImageRecord>();
  const images = new Map<Digest, number>();
  const owners = new Map<Digest, number>();
  const count = (objects: Iterable<Digest>, by: number): Digest[] => {
    const gone: Digest[] = [];
    for (const object of new Set(objects)) {
      const left = (owners.get(object) ?? 0) + by;
      owners.set(object, left);
      if (left === 0) gone.push(object);
    }
    return gone;
  };
  const treesOfImages = new Set<Digest>();
  for (const image of roots.images) {
    const record = store.rows.get<ImageRecord>('image', image);
    if (record === undefined) continue;
    records.set(image, record);
    const tree = treeOf(store, record);
    if (tree !== undefined) treesOfImages.add(tree);
    const others = images.get(record.content) ?? 0;
    images.set(record.content, others + 1);
    if (others === 0) count(imageObjects(store, record), 1);
  }
  for (const tree of roots.trees) if (!treesOfImages.has(tree)) count(treeObjects(store, tree), 1);
  count(arriving, 1);
  return {
    release(image) {
      const record = records.get(image);
      if (record === undefined) return 0;
      records.delete(image);
      const others = images.get(record.content)! - 1;
      images.set(record.content, others);
      if (others > 0) return 0;
      const tree = treeOf(store, record);
      const files = count(imageObjects(store, record), -1).map((object) => objectFile(store.root, object));
      if (tree !== undefined)
        files.push(
          ...(['dump.zst', 'objects', 'erofs'] as const).map((part) => treeFile(store.root, tree, part)),
        );
      return files.reduce((sum, file) => sum + freedWith(file), 0);
    },
  };
}

/** A file that others link to frees nothing. */
function freedWith(file: string): number {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat === undefined || stat.nlink > 1 ? 0 : stat.blocks * 512;
}
