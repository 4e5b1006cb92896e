/** Whether a store has an image, asked of stores that are not the one in use: whatever is wrong with them means no. */
import { isCellarError } from '../core/errors.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore } from '../store/store.ts';

export function hasImage(storeRoot: string, reference: string): boolean {
  try {
    using store = openStore(storeRoot, { readOnly: true });
    resolveImage(store, reference);
    return true;
  } catch (error) {
    if (isCellarError(error)) return error.code === 'E_PLATFORM_AMBIGUOUS';
    return false;
  }
}
