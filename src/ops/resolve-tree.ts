/** From what a user typed to a file tree: an image that is one, or an OCI image whose layers are merged on first use. */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { treeOf } from '../store/blobs.ts';
import { resolveImage, type Image } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import { noteUse } from '../store/used.ts';
import type { Context } from './context.ts';

export interface TreeImage extends Image {
  readonly tree: Digest;
}

/** @throws E_NOT_A_TREE for a file, and what {@link resolveImage} does */
export async function resolveTree(
  context: Context,
  store: Store,
  text: string,
  options: { platform?: Platform | undefined } = {},
): Promise<TreeImage> {
  const image = resolveImage(store, text, options);
  const { kind } = image.record;
  if (kind === 'file')
    throw new CellarError('E_NOT_A_TREE', {
      details: { reference: text, kind },
      hint: `'cellar export ${text} PATH' writes the file`,
    });
  noteUse(store, image.digest);
  return { ...image, tree: treeOf(store, image.record) ?? (await unpacked(context, store, image)) };
}

async function unpacked(context: Context, store: Store, { record }: Image): Promise<Digest> {
  const { ociTree } = await import('./oci-tree.ts');
  if (!store.readOnly) return await ociTree(context, store, record);
  using writable = openStore(store.root);
  return await ociTree(context, writable, record);
}
