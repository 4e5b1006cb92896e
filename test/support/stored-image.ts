/** Images of a few bytes, straight into a store: for tests of what becomes of rows and objects, not of how they come. */
import { hostPlatform } from '../../src/core/platform.ts';
import type { NewRecord } from '../../src/store/commit-rows.ts';
import type { Store } from '../../src/store/store.ts';
import { beginTransaction, type CommitResult, type Transaction } from '../../src/store/transaction.ts';
import { impliedDirectory, type Entry } from '../../src/tree/entry.ts';

/** A tree with one file of this content, under `NAME:latest`. */
export async function storeImage(store: Store, name: string, content: string): Promise<CommitResult> {
  await using transaction = await beginTransaction(store);
  return await commitImage(transaction, name, content);
}

/** `mtime` in seconds: of the file. */
export async function commitImage(
  transaction: Transaction,
  name: string,
  content: string,
  more: Partial<NewRecord> = {},
  mtime = 0,
): Promise<CommitResult> {
  const digest = transaction.adopt.bytes(Buffer.from(content));
  const file: Entry = {
    ...impliedDirectory('/file'),
    ...{ type: 'file', mode: 0o644, size: content.length, mtime, digest },
  };
  return await transaction.commit({
    entries: [impliedDirectory('/'), file],
    ...{ platform: hostPlatform, labels: {}, action: 'import' },
    provenance: { via: 'import', source: 'test', verified: 'no' },
    references: [`${name}:latest`],
    ...more,
  });
}
