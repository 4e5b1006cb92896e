/**
 * Whether a tree's objects are what their names say, before they are shown through a mount that reads them without
 * hashing. Content cannot change without its inode's ctime changing, so objects whose ctime lies before the moment the
 * tree was last verified are taken as they are; the others, few as a rule, are hashed.
 */
import type { Digest } from '../../core/digest.ts';
import { refuseDamaged } from '../../store/damaged.ts';
import { inStore } from '../../store/layout.ts';
import type { Store } from '../../store/store.ts';
import { markVerified, packObjects, treeObjects, treeRow } from '../../store/trees.ts';
import { startPool, type RunOptions } from '../workers/pool.ts';

/**
 * ctime comes from the kernel's tick clock, which lags behind Date.now by up to 10 ms. Counting what changed that
 * shortly before we looked as changed after it costs one more hash of it the next time.
 */
export const clockSlack = 20;

export interface VerifyOptions extends RunOptions {
  /** `always` hashes every object; `never` only refuses those that fsck has found damaged. */
  readonly verify: 'auto' | 'always' | 'never';
}

/** @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED */
export async function verifyTree(store: Store, tree: Digest, options: VerifyOptions): Promise<void> {
  if (options.verify === 'never') {
    refuseDamaged(store, () => treeObjects(store, tree));
    return;
  }
  const objects = treeObjects(store, tree);
  refuseDamaged(store, () => objects);
  const startedAt = Date.now() - clockSlack;
  const since = options.verify === 'always' ? -Infinity : treeRow(store, tree).verifiedAt;
  const shared = Buffer.from(new SharedArrayBuffer(objects.length * 32));
  packObjects(objects).copy(shared);
  using pool = startPool(since <= 0 ? objects.length * 20 : objects.length);
  const { hashed } = await pool.run(
    'verify',
    { objects: inStore(store.root, 'objects'), digests: shared, since },
    [{ name: 'objects', count: objects.length }],
    options,
  );
  if (hashed > 0) markVerified(store, tree, startedAt);
}
