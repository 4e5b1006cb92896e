/** `cellar gc`: remove what nothing refers to and nobody uses, oldest kept history included. */
import { dropUnusedBases } from '../checkout/base.ts';
import { collectGarbage, type GcResult as Collected } from '../store/gc.ts';
import { openStore, requireWritable } from '../store/store.ts';
import type { Context } from './context.ts';
import { evictFor, type Evicted } from './gc/evict.ts';
import { storeLimits } from './gc/limits.ts';
import { defaultGrace, defaultKeepHistory } from './gc/defaults.ts';

export interface GcOptions {
  readonly dryRun?: boolean;
  /** Milliseconds; what is younger stays. */
  readonly grace?: number | undefined;
  /** Earlier values kept of each reference. */
  readonly keepHistory?: number | undefined;
  /** Bytes that the store may take: pulled images go too, the least recently used first. */
  readonly maxSize?: number | undefined;
}

export interface GcResult extends Collected {
  readonly dryRun: boolean;
  /** References that were taken away (or would be) to stay within the bound. */
  readonly evicted: readonly Evicted[];
}

export async function gc(context: Context, options: GcOptions): Promise<GcResult> {
  using store = openStore(context.storeRoot);
  requireWritable(store);
  const dryRun = options.dryRun === true;
  const limits = await storeLimits(context);
  const maxSize = options.maxSize ?? limits.maxSize;
  const { signal } = context;
  if (!dryRun) await dropUnusedBases(store, signal);
  const keep = options.keepHistory ?? limits.keep ?? defaultKeepHistory;
  const collected = await collectGarbage(store, {
    grace: options.grace ?? limits.grace ?? defaultGrace,
    keepHistory: keep,
    dryRun,
    signal,
  });
  const evicted =
    maxSize === undefined ? [] : await evictFor(context, store, { needed: 0, limit: maxSize, keep, dryRun });
  return { ...collected, dryRun, evicted };
}
