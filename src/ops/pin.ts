/** `cellar pin` and `cellar unpin`: protect a reference, and what it named before, from gc and from rm. */
import { parseReference, type Reference } from '../core/reference.ts';
import { planPin } from '../store/pins.ts';
import { platformsOf } from '../store/references.ts';
import { noImage } from '../store/missing.ts';
import { openStore } from '../store/store.ts';
import type { Context } from './context.ts';

export interface PinOptions {
  readonly reference: string;
}

export interface PinResult {
  readonly reference: Reference;
  readonly pinned: boolean;
  /** False when it was so already. */
  readonly changed: boolean;
}

/** @throws E_REFERENCE_INVALID, E_NOT_FOUND, E_STORE_READ_ONLY */
export async function pin(context: Context, { reference }: PinOptions): Promise<PinResult> {
  return setPin(context, reference, true);
}

/** @throws E_REFERENCE_INVALID, E_NOT_FOUND, E_STORE_READ_ONLY */
export async function unpin(context: Context, { reference }: PinOptions): Promise<PinResult> {
  return setPin(context, reference, false);
}

function setPin(context: Context, text: string, pinned: boolean): PinResult {
  const reference = parseReference(text);
  using store = openStore(context.storeRoot);
  return store.rows.update(() => {
    const changes = planPin(store, reference, pinned);
    // A pin may outlive its reference; taking one away must stay possible then.
    if (platformsOf(store, reference).length === 0 && (pinned || changes.length === 0))
      throw noImage(store, reference);
    return { changes, result: { reference, pinned, changed: changes.length > 0 } };
  });
}
