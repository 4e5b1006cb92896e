/** `cellar tag`: another reference for an image, whatever the image was named by. */
import type { Digest } from '../core/digest.ts';
import { parsePlatform, type Platform } from '../core/platform.ts';
import { parseReference, parseSelector, type Reference } from '../core/reference.ts';
import { lockStore } from '../store/lock.ts';
import { planReference, platformsOf } from '../store/references.ts';
import { resolveImage, type Image } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface TagOptions {
  readonly reference: string;
  readonly newReference: string;
  /** Only this platform; else every platform of a reference, or the one image that a digest names. */
  readonly platform?: string | undefined;
}

export interface TagResult {
  readonly reference: Reference;
  readonly images: readonly { readonly platform: Platform; readonly image: Digest }[];
  /** False when all was so already. */
  readonly changed: boolean;
}

/** @throws E_NOT_FOUND, E_REFERENCE_INVALID, E_PLATFORM_INVALID, E_DIGEST_AMBIGUOUS, E_STORE_READ_ONLY */
export async function tag(context: Context, options: TagOptions): Promise<TagResult> {
  const reference = parseReference(options.newReference);
  using store = openStore(context.storeRoot);
  // No gc between looking an image up and referring to it.
  using _lock = store.readOnly
    ? undefined
    : await lockStore(store.root, 'shared', { signal: context.signal });
  return store.rows.update(() => {
    const images = chosenImages(store, options).map(({ platform, digest }) => ({ platform, image: digest }));
    const at = Date.now();
    const changes = images.flatMap((image) =>
      planReference(store.rows, { reference, ...image, at, action: 'tag' }),
    );
    return { changes, result: { reference, images, changed: changes.length > 0 } };
  });
}

function chosenImages(store: Store, { reference, platform }: TagOptions): Image[] {
  const selector = parseSelector(reference);
  const wanted = platform === undefined ? undefined : parsePlatform(platform);
  const names = selector.by === 'reference' && selector.earlier === 0 && selector.digest === undefined;
  if (!names || wanted !== undefined) return [resolveImage(store, reference, { platform: wanted })];
  const rows = platformsOf(store, selector.reference);
  if (rows.length === 0) return [resolveImage(store, reference)];
  return rows.map((row) => resolveImage(store, selector.reference, { platform: row.platform }));
}
