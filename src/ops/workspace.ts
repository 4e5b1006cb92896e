/**
 * A private writable copy of a tree, to prepare something in that nobody sees before it is committed. It lies in staging:
 * whatever becomes of this process, the next command takes it away, mounts and all.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { ignoreEvents } from '../core/events.ts';
import { findCheckout } from '../store/checkouts.ts';
import { abandonCheckout } from '../store/checkout-undo.ts';
import { inStore } from '../store/layout.ts';
import { createStaging } from '../store/staging.ts';
import type { Store } from '../store/store.ts';
import type { Transaction } from '../store/transaction.ts';
import type { Entry } from '../tree/entry.ts';
import { checkoutTree } from './checkout.ts';
import { readEntries } from './commit/entries.ts';
import type { Context } from './context.ts';
import { releaseCheckout } from './release.ts';

export interface Workspace extends AsyncDisposable {
  /** Absolute, without symlinks. */
  readonly root: ByteString;
  /** What the workspace takes in staging lies below this. */
  readonly directory: string;
  /** The tree as it is now, with a change to each entry; only what was written is read, and staged in the transaction. */
  read(transaction: Transaction, change?: (entry: Entry) => Entry): Promise<readonly Entry[]>;
}

/** Of nothing when there is no tree. @throws as `checkoutTree` */
export async function openWorkspace(
  context: Context,
  store: Store,
  tree: Digest | undefined,
): Promise<Workspace> {
  await using stack = new AsyncDisposableStack();
  const staging = stack.use(createStaging(store.root));
  const directory = `${staging.directory}/root`;
  const root = fromText(directory);
  const abandoned = { path: root, uppers: inStore(store.root, 'checkouts') };
  staging.note(JSON.stringify({ id: '', step: { undo: 'abandon', ...abandoned } }));
  stack.defer(async () => {
    if (tree !== undefined) await release(store, directory);
    abandonCheckout(store.rows, abandoned);
  });
  // What is asked for is a copy; by which method is nothing to warn of.
  const quiet = { ...context, events: ignoreEvents };
  if (tree !== undefined) await checkoutTree(quiet, store, { tree, directory, writable: true });
  else {
    mkdirSync(toBytes(root));
    chmodSync(toBytes(root), 0o755);
  }
  const owned = stack.move();
  return {
    root,
    directory: staging.directory,
    async read(transaction, change = (entry) => entry) {
      const row = findCheckout(store, root);
      const request = { store, directory: root, row, exclude: () => false, change };
      return (await readEntries(quiet, transaction, request)).entries.map(change);
    },
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** What cannot be released in the regular way (another process sees the mount) is abandoned right after. */
async function release(store: Store, directory: string): Promise<void> {
  try {
    await releaseCheckout(store, { directory, force: true });
  } catch {
    // As above.
  }
}
