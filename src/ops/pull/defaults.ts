/**
 * An image that is pulled by hand is reached and judged as `defaults` of the configuration say, unless the command says
 * otherwise: a proxy or a policy that holds for all images holds for this one, too.
 */
import { findConfig } from '../../config/find.ts';
import { CellarError } from '../../core/errors.ts';
import type { HttpOptions } from '../../net/port.ts';
import { withoutCosign } from '../../source/drivers.ts';
import type { CosignPolicy } from '../../source/verify/cosign-offer.ts';
import type { Context } from '../context.ts';
import type { PullOptions } from '../pull.ts';

/** Loads a configuration only where there is one. @throws E_CONFIG, E_USAGE for trust that would go unheeded */
export async function withDefaults({ configPath }: Context, options: PullOptions): Promise<PullOptions> {
  if (options.cosign !== undefined) await requireMeaning(options.source, options.cosign);
  if (findConfig(configPath) === undefined) return options;
  const { loadConfig } = await import('../../config/load.ts');
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

/** Defaults are for all images, of whatever kind; who names a signer for one means it. */
async function requireMeaning(source: string, cosign: CosignPolicy): Promise<void> {
  const { checkCosignPolicy } = await import('../../source/verify/cosign-offer.ts');
  checkCosignPolicy(cosign);
  const problem = withoutCosign(source);
  if (problem !== undefined) throw new CellarError('E_USAGE', { details: { problem } });
}

function mergeHttp(standard: HttpOptions, given: HttpOptions = {}): HttpOptions {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return { ...standard, ...Object.fromEntries(said) };
}
