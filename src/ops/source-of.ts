/** Where a reference comes from: what `cellar.yaml` says, else what was on record at its last pull. */
import { loadConfig } from '../config/load.ts';
import type { Reference } from '../core/reference.ts';
import { openStore } from '../store/store.ts';
import { upstreamRow } from '../store/upstream.ts';
import type { Context } from './context.ts';
import { pullOptions } from './pull/from-config.ts';
import type { PullOptions } from './pull.ts';

/** @throws E_CONFIG, E_CONFIG_SECRET */
export function sourceOf(context: Context, reference: Reference): PullOptions | undefined {
  const config = loadConfig(context.configPath);
  const entry = config.images.find((image) => image.reference === reference);
  if (entry !== undefined) return pullOptions(entry, config);
  const source = sourceOnRecord(context, reference);
  return source === undefined ? undefined : { source };
}

function sourceOnRecord(context: Context, reference: Reference): string | undefined {
  using store = openStore(context.storeRoot, { readOnly: true });
  return upstreamRow(store, reference)?.source;
}
