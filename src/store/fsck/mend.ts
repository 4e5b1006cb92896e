/** Repairs that need no content from elsewhere: what is derived is derived again, what is superfluous goes. */
import { rmSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import { sha256, type Digest } from '../../core/digest.ts';
import { isCellarError } from '../../core/errors.ts';
import { writeFileAtomic } from '../../sys/atomic.ts';
import { rewriteJournal } from '../journal.ts';
import { treeFile } from '../layout.ts';
import type { Store } from '../store.ts';
import { packObjects, readTree, treeRow, type TreeRow } from '../trees.ts';
import { adoptMetadata } from './inodes.ts';
import type { Damage } from './report.ts';
import { removeVariant } from './variants.ts';

export function mendInPlace(store: Store, damaged: readonly Damage[]): void {
  for (const { kind, id } of damaged) {
    if (kind === 'erofs') rmSync(treeFile(store.root, id, 'erofs'), { force: true });
    else if (kind === 'object-list') mendObjectList(store, id);
    else if (kind === 'variant') removeVariant(store, id);
    else if (kind === 'journal') rewriteJournal(store.root, store.rows);
  }
  adoptMetadata(store, new Set(damaged.filter(({ kind }) => kind === 'metadata').map(({ id }) => id)));
}

function mendObjectList(store: Store, tree: Digest): void {
  try {
    const digests = readTree(store, tree).flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
    const packed = packObjects([...new Set(digests)].sort());
    writeFileAtomic(fromText(treeFile(store.root, tree, 'objects')), packed, { mode: 0o600 });
    const row: TreeRow = { ...treeRow(store, tree), objects: sha256(packed) };
    store.rows.write([{ kind: 'tree', key: tree, value: row }]);
  } catch (error) {
    // Without its manifest the list cannot be derived; that is reported as damage of its own.
    if (!isCellarError(error)) throw error;
  }
}
