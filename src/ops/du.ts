/** `cellar du`: what each image costs and what the store takes. */
import { openStore } from '../store/store.ts';
import { measureUsage, type StoreUsage } from '../store/usage.ts';
import type { Context } from './context.ts';

export type DuResult = StoreUsage;

export async function du(context: Context): Promise<DuResult> {
  using store = openStore(context.storeRoot, { readOnly: true });
  return measureUsage(store);
}
