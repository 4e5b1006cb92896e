/** What roots need, tree by tree and object by object: all else is garbage. */
import type { Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import type { ImageRecord } from '../../core/record.ts';
import { looseObjects, treeOf } from '../blobs.ts';
import type { Roots } from '../roots.ts';
import type { Store } from '../store.ts';
import { readTree, treeObjects } from '../trees.ts';

/** What is needed, so far. */
export interface Marks {
  readonly objects: Set<Digest>;
  readonly trees: Set<Digest>;
}

export function noMarks(): Marks {
  return { objects: new Set(), trees: new Set() };
}

/** Adds what `roots` keep to `marks`. */
export function markRoots(store: Store, roots: Roots, marks: Marks): void {
  for (const tree of roots.trees) markTree(store, tree, marks);
  for (const image of roots.images) {
    const record = store.rows.get<ImageRecord>('image', image);
    if (record !== undefined) markLoose(store, record, marks);
  }
}

/** Adds an image that no root keeps. */
export function markImage(store: Store, record: ImageRecord, marks: Marks): void {
  const tree = treeOf(store, record);
  if (tree !== undefined) markTree(store, tree, marks);
  markLoose(store, record, marks);
}

/** Those of a tree that stay although the tree goes; none of one that is damaged: then nobody can tell. */
export function markedObjectsOf(store: Store, tree: Digest, { objects }: Marks): Digest[] {
  try {
    return objectsOf(store, tree).filter((object) => objects.has(object));
  } catch (error) {
    if (isCellarError(error)) return [];
    throw error;
  }
}

function markLoose(store: Store, record: ImageRecord, { objects }: Marks): void {
  for (const object of looseObjects(store, record)) objects.add(object);
}

/** A tree whose object list is gone or damaged is marked by its manifest; when that is damaged too, gc refuses to run. */
function markTree(store: Store, tree: Digest, { objects, trees }: Marks): void {
  if (trees.has(tree)) return;
  trees.add(tree);
  for (const object of objectsOf(store, tree)) objects.add(object);
}

function objectsOf(store: Store, tree: Digest): readonly Digest[] {
  try {
    return treeObjects(store, tree);
  } catch (error) {
    if (!isCellarError(error, 'E_TREE_DAMAGED') && !isCellarError(error, 'E_TREE_MISSING')) throw error;
    return readTree(store, tree).flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
  }
}
