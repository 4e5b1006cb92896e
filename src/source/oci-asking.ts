/** A registry and its mirrors, asked in turn until one of them answers. */
import { isCellarError, type CellarError } from '../core/errors.ts';
import { isForeignLayer, type Descriptor } from '../remote/oci/manifest.ts';
import {
  blobUrl,
  getManifest,
  getReferrers,
  getSmallBlob,
  notOffered,
  type Registry,
} from '../remote/oci/registry.ts';
import { noneAnswered } from './ask.ts';
import type { ImagePlace } from './oci-place.ts';
import type { Locator } from './port.ts';

export interface Asking {
  /** As the user wrote it, for messages. */
  readonly location: string;
  /** In the order they are asked. */
  readonly registries: readonly Registry[];
  readonly signal: AbortSignal;
}

/**
 * `undefined` when it is not there. What a digest pins may be taken from any of them; of a tag only the first that
 * can be reached knows what it names, and whether it is there.
 * @throws what the only registry does, E_CHECKSUM_MISMATCH, E_SOURCE_UNREACHABLE when none of several answers
 */
export async function askAny<T>(
  { location, registries }: Asking,
  ask: (registry: Registry) => Promise<T | undefined>,
  { isPinned }: { isPinned: boolean },
): Promise<{ answer: T; registry: Registry } | undefined> {
  const errors: CellarError[] = [];
  for (const registry of registries) {
    try {
      const answer = await ask(registry);
      if (answer !== undefined) return { answer, registry };
      if (!isPinned && errors.length === 0) return undefined;
    } catch (error) {
      if (!isOfThisPlace(error)) throw error;
      errors.push(error);
    }
  }
  if (errors.length === 0) return undefined;
  throw errors.find((error) => error.code === 'E_CHECKSUM_MISMATCH') ?? noneAnswered(location, errors);
}

/** The repository that these registries hold. */
export function registryPlace(asking: Asking): ImagePlace {
  const { location, signal } = asking;
  const answer = async <T>(
    ask: (registry: Registry) => Promise<T | undefined>,
    isPinned: boolean,
  ): Promise<T | undefined> => (await askAny(asking, ask, { isPinned }))?.answer;
  return {
    location,
    manifest: (digest) => answer((registry) => getManifest(registry, `sha256:${digest}`, asking), true),
    blob: (descriptor) => answer((registry) => getSmallBlob(registry, descriptor, signal), true),
    referrers: async (digest) =>
      (await answer((registry) => getReferrers(registry, digest, signal), false)) ?? [],
    tagged: (tag) => answer((registry) => getManifest(registry, tag, { signal, none: notOffered }), false),
    locate: (descriptor) => whereIs(asking, descriptor),
  };
}

/** Foreign layers come from where their maker says; the registry may still have them. */
function whereIs({ registries }: Asking, descriptor: Descriptor): Locator {
  const own = registries.map(({ repository }) => blobUrl(repository, descriptor.digest));
  const urls = isForeignLayer(descriptor) ? [...descriptor.urls, ...own] : own;
  const client = registries[0]?.client;
  return { type: 'http', urls, ...(client === undefined ? {} : { client }) };
}

/** The one that answered is asked first from now on. */
export function preferring(asking: Asking, registry: Registry): Asking {
  return { ...asking, registries: [registry, ...asking.registries.filter((other) => other !== registry)] };
}

function isOfThisPlace(error: unknown): error is CellarError {
  return (
    isCellarError(error) &&
    (error.code.startsWith('E_HTTP_') ||
      ['E_AUTHENTICATION', 'E_CREDENTIALS', 'E_REGISTRY_INVALID', 'E_CHECKSUM_MISMATCH'].includes(error.code))
  );
}
