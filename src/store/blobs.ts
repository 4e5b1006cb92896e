/**
 * Content that is not a tree: plain files, and OCI images kept byte for byte. Its row lists the objects it is made
 * of, so that gc, fsck and accounting treat it as they treat a tree's object list.
 */
import type { Digest } from '../core/digest.ts';
import type { ImageRecord } from '../core/record.ts';
import type { Store } from './store.ts';
import { treeObjects } from './trees.ts';

export interface BlobsRow {
  /** Sorted, each once; the content itself (a file, an OCI manifest) is among them. */
  readonly objects: readonly Digest[];
  /** How many there are besides manifests, and their bytes: what `ls` shows. */
  readonly files: number;
  readonly bytes: number;
}

/** The tree that an image is, or that its layers were merged into; a file, and an OCI image never unpacked, have none. */
export function treeOf(store: Store, { kind, content }: ImageRecord): Digest | undefined {
  return kind === 'tree' ? content : store.rows.get<{ tree: Digest }>('unpacked', content)?.tree;
}

/** Every object that an image needs or has brought along. @throws E_TREE_MISSING, E_TREE_DAMAGED */
export function imageObjects(store: Store, record: ImageRecord): readonly Digest[] {
  const tree = treeOf(store, record);
  return [...(tree === undefined ? [] : treeObjects(store, tree)), ...looseObjects(store, record)];
}

/** Those of an image's objects that no tree lists. */
export function looseObjects(store: Store, { kind, content, attachments }: ImageRecord): readonly Digest[] {
  const own = kind === 'tree' ? [] : (store.rows.get<BlobsRow>('blobs', content)?.objects ?? []);
  return [...own, ...Object.values(attachments ?? {})];
}
