/** What is put in service read-only has its record as one more entry of its tree; see tree-record.ts. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Version, Workbench } from '../../deploy/port.ts';
import { leaseTree } from '../../store/lease.ts';
import type { Store } from '../../store/store.ts';
import type { Transaction } from '../../store/transaction.ts';
import { readTree } from '../../store/trees.ts';
import type { Context } from '../context.ts';
import { withRecord } from './tree-record.ts';

export interface RecordedVersion extends Disposable {
  readonly version: Version;
}

/** The tree with the record is kept from gc until disposed; a checkout of it keeps it after that. @throws E_RECORD_PLACE */
export async function recordedVersion(
  context: Context,
  store: Store,
  version: Version,
  { scratch, signal }: Pick<Workbench, 'scratch' | 'signal'>,
): Promise<RecordedVersion> {
  const { tree, recordInside, deploymentRecord: text, writable, reference, record } = version;
  if (tree === undefined || recordInside === undefined || writable) return { version, [Symbol.dispose]() {} };
  using stack = new DisposableStack();
  const { path } = recordInside;
  const file = join(scratch, 'deployment.json');
  writeFileSync(file, text);
  const { inTransaction } = await import('../gc/bound.ts');
  const content = await inTransaction(context, store, async (transaction: Transaction) => {
    const { content } = await transaction.commit({
      entries: await withRecord(transaction, { entries: readTree(store, tree), path, file }),
      platform: record.platform,
      labels: record.labels,
      provenance: { via: 'commit', source: reference, verified: 'no' },
      ...{ references: [], action: 'commit' },
    });
    stack.use(await leaseTree(store, content, signal));
    return content;
  });
  const kept = stack.move();
  return {
    version: { ...version, tree: content, recordInside: { path, of: tree } },
    [Symbol.dispose]: () => kept.dispose(),
  };
}
