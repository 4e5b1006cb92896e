/**
 * An image that is pulled by hand is reached and judged as `defaults` of the configuration say, unless the command says
 * otherwise: a proxy or a policy that holds for all images holds for this one, too.
 */
import { findConfig } from '../config/places.ts';
import type { HttpOptions } from '../net/port.ts';
import type { Context } from './context.ts';
import type { PullOptions } from './pull.ts';

/** Loads a configuration only where there is one. @throws E_CONFIG */
export async function withDefaults({ configPath }: Context, options: PullOptions): Promise<PullOptions> {
  if (findConfig(configPath) === undefined) return options;
  const { loadConfig } = await import('../config/load.ts');
  const { verify, keyrings, cosign, keep, maxSize, maxFiles, network } = loadConfig(configPath).defaults;
  return {
    ...options,
    verify: options.verify ?? (verify === 'strongest' ? undefined : verify),
    keyrings: options.keyrings?.length ? options.keyrings : keyrings,
    cosign: options.cosign ?? cosign,
    keep: options.keep ?? keep,
    maxSize: options.maxSize ?? maxSize,
    maxFiles: options.maxFiles ?? maxFiles,
    http: mergeHttp(network, options.http),
  };
}

function mergeHttp(standard: HttpOptions, given: HttpOptions = {}): HttpOptions {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...standard, ...Object.fromEntries(said) };
}
