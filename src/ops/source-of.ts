/** Where a reference comes from: what `cellar.yaml` says, else what was on record at its last pull. */
import type { Reference } from '../core/reference.ts';
import { openStore } from '../store/store.ts';
import { upstreamRow } from '../store/upstream.ts';
import type { Context } from './context.ts';
import type { PullOptions } from './pull.ts';

export function sourceOf(context: Context, reference: Reference): PullOptions | undefined {
  using store = openStore(context.storeRoot, { readOnly: true });
  const source = upstreamRow(store, reference)?.source;
  return source === undefined ? undefined : { source };
}
