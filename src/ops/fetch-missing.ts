/**
 * An image that a verb needs and the store has not: fetched from the source that is on record for its reference. Only
 * when that is not allowed or does not work is it an error, which names the places and the command.
 */
import { isCellarError, CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { parseSelector } from '../core/reference.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore } from '../store/store.ts';
import type { Context } from './context.ts';
import { sourceOf } from './source-of.ts';

export interface MissingOptions {
  readonly reference: string;
  readonly platform?: Platform | undefined;
  readonly offline?: boolean | undefined;
}

/** @throws E_NOT_CACHED, and what a pull throws */
export async function fetchMissing(context: Context, options: MissingOptions): Promise<void> {
  const { reference, platform, offline } = options;
  const problem = missing(context, options);
  if (problem === undefined) return;
  const selector = parseSelector(reference);
  const source = selector.by === 'reference' ? sourceOf(context, selector.reference) : undefined;
  if (source === undefined) throw problem;
  if (offline === true)
    throw new CellarError('E_NOT_CACHED', {
      details: { reference, places: source.source, problem: 'and --offline forbids to fetch it' },
      hint: `'cellar pull ${source.source} ${reference}' fetches it`,
    });
  const { pull } = await import('./pull.ts');
  await pull(context, { ...source, reference, ...(platform === undefined ? {} : { platforms: [platform] }) });
}

function missing(context: Context, { reference, platform }: MissingOptions): CellarError | undefined {
  try {
    using store = openStore(context.storeRoot, { readOnly: true });
    resolveImage(store, reference, { platform });
    return undefined;
  } catch (error) {
    if (isCellarError(error, 'E_NOT_FOUND') || isCellarError(error, 'E_NO_STORE')) return error;
    throw error;
  }
}
