/** `cellar provenance`: what came from where, down to what was first fetched or read. */
import type { Digest } from '../core/digest.ts';
import { parsePlatform } from '../core/platform.ts';
import type { ImageKind, ImageRecord, Provenance } from '../core/record.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';

export interface ProvenanceOptions {
  readonly reference: string;
  readonly platform?: string | undefined;
}

/** One image, and those it was made of. Of what the store has no record any more only the digest is known. */
export interface Origin {
  /** Absent for a parent: a commit knows it by its digest. */
  readonly reference?: string;
  readonly image: Digest;
  readonly known: boolean;
  readonly kind?: ImageKind;
  readonly content?: Digest;
  readonly platform?: string;
  /** Milliseconds since the epoch. */
  readonly created?: number;
  readonly via?: Provenance['via'];
  readonly source?: string;
  readonly sourceDigest?: Digest;
  readonly verified?: Provenance['verified'];
  readonly signer?: string;
  readonly artifacts?: readonly string[];
  readonly parent?: Origin;
  readonly parts?: readonly Origin[];
}

/** @throws E_NOT_FOUND, E_PLATFORM_AMBIGUOUS, E_DIGEST_AMBIGUOUS */
export async function provenance(context: Context, options: ProvenanceOptions): Promise<Origin> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using store = openStore(context.storeRoot, { readOnly: true });
  const { reference, digest } = resolveImage(store, options.reference, { platform });
  return originOf(store, digest, { reference: reference ?? options.reference });
}

/** Records name others by digest, so there are no circles; a record names only what was there before it. */
function originOf(
  store: Store,
  image: Digest,
  names: { reference?: string; artifacts?: readonly string[] } = {},
): Origin {
  const record = store.rows.get<ImageRecord>('image', image);
  if (record === undefined) return { ...names, image, known: false };
  const { kind, content, platform, created } = record;
  const { parent, parts, ...rest } = record.provenance;
  return {
    ...names,
    image,
    known: true,
    ...{ kind, content, platform, created: created * 1000 },
    ...rest,
    ...(parent === undefined ? {} : { parent: originOf(store, parent) }),
    ...(parts === undefined
      ? {}
      : { parts: parts.map(({ image: part, ...called }) => originOf(store, part, called)) }),
  };
}
