/** A tree where programs that read directories find it, with its owners and devices, for as long as they read. */
import { join } from 'node:path';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { Digest } from '../../core/digest.ts';
import type { Workbench } from '../port.ts';

export interface PrivateCheckout extends AsyncDisposable {
  readonly directory: string;
}

/**
 * Needs root: what an ordinary user checks out shows his own files only.
 * @throws E_NOT_ALLOWED, and what checkouts throw
 */
export async function privateCheckout(
  bench: Workbench,
  tree: Digest,
  operation: string,
): Promise<PrivateCheckout> {
  if (process.geteuid?.() !== 0)
    throw new CellarError('E_NOT_ALLOWED', {
      details: { operation, problem: 'only root sees the owners and devices of a tree' },
    });
  const directory = join(bench.scratch, `tree-${tree.slice(0, 12)}`);
  try {
    // Its order of names and its times follow from the tree alone, so what is made of it does, too.
    await bench.checkout(tree, directory, { writable: false, method: 'composefs' });
  } catch (error) {
    if (!isCellarError(error, 'E_METHOD_UNAVAILABLE')) throw error;
    await bench.checkout(tree, directory, { writable: false });
  }
  return {
    directory,
    async [Symbol.asyncDispose]() {
      try {
        await bench.release(directory);
      } catch (error) {
        // Another mount namespace sees it still: it is listed as `releasing`, and no part of what was asked for.
        if (!isCellarError(error, 'E_CHECKOUT_BUSY')) throw error;
      }
    },
  };
}
