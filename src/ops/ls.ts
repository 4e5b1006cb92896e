/** `cellar ls`: every reference with the image it names. */
import type { Digest } from '../core/digest.ts';
import type { Platform } from '../core/platform.ts';
import type { ImageKind, Provenance } from '../core/record.ts';
import type { Reference } from '../core/reference.ts';
import { isPinned } from '../store/pins.ts';
import { listReferences } from '../store/references.ts';
import { listImages, readRecord } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface LsOptions {
  /** Also images that no reference names any more. */
  readonly all?: boolean;
}

export interface ListedImage {
  /** Absent for an image that no reference names. */
  readonly reference?: Reference;
  readonly platform: Platform;
  readonly image: Digest;
  readonly kind: ImageKind;
  /** Of kind `tree`. */
  readonly tree?: Digest;
  readonly files: number;
  readonly bytes: number;
  /** Milliseconds since the epoch: when the image was stored, and when the reference last moved to it. */
  readonly created: number;
  readonly updated?: number;
  readonly pinned: boolean;
  /** What was checked when it came in; `undefined` for what was made here. */
  readonly verified?: Provenance['verified'];
}

export interface LsResult {
  readonly images: readonly ListedImage[];
}

/** @throws E_NO_STORE */
export async function ls(context: Context, options: LsOptions = {}): Promise<LsResult> {
  using store = openStore(context.storeRoot, { readOnly: true });
  const named = listReferences(store).map(({ reference, platform, image, updated }) => ({
    reference,
    ...listedImage(store, image),
    platform,
    updated,
    pinned: isPinned(store, reference),
  }));
  if (options.all !== true) return { images: named };
  const known = new Set(named.map(({ image }) => image));
  const nameless = listImages(store).filter(({ digest }) => !known.has(digest));
  return { images: [...named, ...nameless.map(({ digest }) => listedImage(store, digest))] };
}

function listedImage(store: Store, image: Digest): ListedImage {
  const { kind, content, platform, files, bytes, created, provenance } = readRecord(store, image);
  const tree = kind === 'tree' ? { tree: content } : {};
  // What was made here did not come from anywhere, so there was nothing to verify.
  const isFromOutside = provenance.via === 'pull' || provenance.via === 'import';
  const verified = isFromOutside ? { verified: provenance.verified } : {};
  return {
    image,
    kind,
    ...tree,
    platform,
    files,
    bytes,
    created: created * 1000,
    pinned: false,
    ...verified,
  };
}
