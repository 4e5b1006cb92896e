/** A registry and its mirrors, asked in turn until one of them answers. */
import { CellarError, isCellarError } from '../core/errors.ts';
import type { Registry } from '../remote/oci/registry.ts';

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
  const worst = errors.find((error) => error.code === 'E_CHECKSUM_MISMATCH');
  if (worst !== undefined || errors.length === 1) throw worst ?? errors[0]!;
  const problem = errors.map((error) => error.message).join('; ');
  throw new CellarError('E_SOURCE_UNREACHABLE', {
    details: { source: location, problem },
    cause: errors.at(-1),
  });
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
