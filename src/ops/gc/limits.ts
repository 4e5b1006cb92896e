/** The bounds that `cellar.yaml` sets for the store. Loaded only where they matter: most commands need no configuration. */
import type { StoreLimits } from '../../config/images.ts';
import { findConfig } from '../../config/find.ts';
import type { Context } from '../context.ts';

/** @throws E_CONFIG */
export async function storeLimits({ configPath }: Pick<Context, 'configPath'>): Promise<StoreLimits> {
  if (findConfig(configPath) === undefined) return {};
  const { loadConfig } = await import('../../config/load.ts');
  return loadConfig(configPath).store;
}
