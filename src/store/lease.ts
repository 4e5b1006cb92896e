/** A reader's claim on a tree: while it is held, gc takes neither the tree nor anything that it needs. */
import type { Digest } from '../core/digest.ts';
import { lockStore } from './lock.ts';
import { holdTrees } from './staging.ts';
import type { Store } from './store.ts';
import { treeRow } from './trees.ts';

/**
 * While the lock is shared no gc sweeps, and once the lease is written none will take the tree. A store that cannot
 * be written cannot be swept either.
 * @throws E_TREE_MISSING when gc was faster, E_CANCELLED
 */
export async function leaseTree(store: Store, tree: Digest, signal: AbortSignal): Promise<Disposable> {
  if (store.readOnly) return { [Symbol.dispose]() {} };
  using _lock = await lockStore(store.root, 'shared', { signal });
  treeRow(store, tree);
  return holdTrees(store.root, [tree]);
}
