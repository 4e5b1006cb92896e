/**
 * An image that a verb needs and the store has not: fetched from the source that is on record for its reference. Only
 * when that is not allowed or does not work is it an error, which names the places and the command.
 */
import { isCellarError, CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { redact } from '../core/redact.ts';
import { parseSelector } from '../core/reference.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore } from '../store/store.ts';
import type { Context } from './context.ts';
import type { PullOptions } from './pull.ts';

export interface MissingOptions {
  readonly reference: string;
  readonly platform?: Platform | undefined;
  readonly offline?: boolean | undefined;
  /** A dry run fetches nothing, either. */
  readonly dryRun?: boolean | undefined;
}

/** @throws E_NOT_CACHED, and what a pull throws */
export async function fetchMissing(context: Context, options: MissingOptions): Promise<void> {
  const { reference, platform } = options;
  const source = await findMissing(context, options);
  if (source === undefined) return;
  const { pull } = await import('./pull.ts');
  await pull(context, { ...source, reference, ...(platform === undefined ? {} : { platforms: [platform] }) });
}

/**
 * Where an image that the store lacks can be had; `undefined` where it is in the store.
 * @throws E_NOT_CACHED where asking is forbidden or the run is dry, E_NOT_FOUND or E_NO_STORE where nobody knows
 */
export async function findMissing(
  context: Context,
  options: MissingOptions,
): Promise<PullOptions | undefined> {
  const { reference, offline, dryRun } = options;
  const problem = missing(context, options);
  if (problem === undefined) return undefined;
  // Loaded here only: what is there needs no configuration.
  const { sourceOf } = await import('./source-of.ts');
  const selector = parseSelector(reference);
  // What a source offers now is neither an earlier value nor, for certain, the one that a digest names.
  const isNewest = selector.by === 'reference' && selector.earlier === 0 && selector.digest === undefined;
  const source = isNewest ? sourceOf(context, selector.reference) : undefined;
  if (source === undefined) throw problem;
  if (offline !== true && dryRun !== true) return source;
  const shown = redact(source.source);
  throw new CellarError('E_NOT_CACHED', {
    details: {
      reference,
      places: shown,
      problem: offline === true ? 'and --offline forbids to fetch it' : 'and a dry run does not fetch it',
    },
    hint: `'cellar pull ${shown} ${reference}' fetches it`,
  });
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
