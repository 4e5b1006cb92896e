/** An image that a deployment of the configuration names and nobody knows is a mistake in a file: it is told with its line. */
import { errorRegistry } from '../core/error-registry.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { nearestReference } from '../core/nearest.ts';
import type { Reference } from '../core/reference.ts';
import type { Context } from './context.ts';
import { findMissing } from './fetch-missing.ts';

export interface NamedImages {
  /** Of the images that one deployment names: where, by the name. */
  readonly places: ReadonlyMap<string, string>;
  /** Images of the configuration: what may have been meant. */
  readonly references: readonly Reference[];
}

/** @returns E_DEPLOYMENT_IMAGE where the error is that one of the images is not to be had from anywhere, else the error */
export async function withPlace(
  context: Context,
  error: CellarError,
  { places, references, offline }: NamedImages & { offline: boolean | undefined },
): Promise<CellarError> {
  if (error.code !== 'E_NOT_FOUND' && error.code !== 'E_NO_STORE') return error;
  for (const [reference, place] of places) {
    const cause = await whyUnknown(context, reference, offline);
    if (cause === undefined) continue;
    const known = references.map((one) => one.replace(/:latest$/, ''));
    const near = nearestReference(reference, known);
    const hint = near === undefined ? hintOf(cause) : `did you mean '${near}'?`;
    return new CellarError('E_DEPLOYMENT_IMAGE', {
      details: { place, reference, store: context.storeRoot },
      ...(hint === undefined ? {} : { hint }),
      cause,
    });
  }
  return error;
}

async function whyUnknown(
  context: Context,
  reference: string,
  offline: boolean | undefined,
): Promise<CellarError | undefined> {
  try {
    await findMissing(context, { reference, offline });
    return undefined;
  } catch (error) {
    if (isCellarError(error, 'E_NOT_FOUND') || isCellarError(error, 'E_NO_STORE')) return error;
    if (isCellarError(error)) return undefined;
    throw error;
  }
}

/** Which names are near in the store, or that there is none. */
function hintOf({ code, hint, message }: CellarError): string | undefined {
  if (code === 'E_NO_STORE') return [message, hint].filter(Boolean).join('; ');
  return hint === errorRegistry[code].hint ? undefined : hint;
}
