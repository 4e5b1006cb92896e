/** Trees under fsck: manifest by its name, object list against the manifest, EROFS image by its recorded digest. */
import { existsSync, readFileSync } from 'node:fs';
import { sha256, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { Entry } from '../../tree/entry.ts';
import { treeFile } from '../layout.ts';
import type { Store } from '../store.ts';
import { packObjects, readTree, treeObjects, type TreeRow } from '../trees.ts';
import { expectInodes, type ExpectedInodes } from './inodes.ts';
import type { Damage } from './report.ts';

export interface CheckedTrees {
  readonly count: number;
  readonly damages: readonly Omit<Damage, 'images'>[];
  readonly objects: ReadonlyMap<Digest, ReadonlySet<Digest>>;
  /** Objects that some tree needs and `present` lacks. */
  wanted(present: ReadonlySet<Digest>): Digest[];
}

/** Fills `expected` with the inode metadata that the trees allow for each object. */
export function checkTrees(store: Store, expected: ExpectedInodes): CheckedTrees {
  const damages: Omit<Damage, 'images'>[] = [];
  const objects = new Map<Digest, Set<Digest>>();
  const rows = store.rows.list<TreeRow>('tree');
  for (const { key: tree, value: row } of rows) {
    const entries = attempt(damages, { kind: 'manifest', id: tree }, () => readTree(store, tree));
    if (entries !== undefined) expectInodes(expected, entries);
    const listed = attempt(damages, { kind: 'object-list', id: tree }, () => treeObjects(store, tree));
    objects.set(tree, new Set(entries === undefined ? listed : digestsOf(entries)));
    if (
      entries !== undefined &&
      listed !== undefined &&
      sha256(packObjects([...objects.get(tree)!].sort())) !== row.objects
    ) {
      damages.push({ kind: 'object-list', id: tree, problem: 'does not list what the manifest names' });
    }
    const erofs = treeFile(store.root, tree, 'erofs');
    if (row.erofs !== undefined && existsSync(erofs) && sha256(readFileSync(erofs)) !== row.erofs) {
      damages.push({ kind: 'erofs', id: tree, problem: 'does not match its digest' });
    }
  }
  return {
    count: rows.length,
    damages,
    objects,
    wanted: (present) => [
      ...new Set([...objects.values()].flatMap((list) => [...list].filter((object) => !present.has(object)))),
    ],
  };
}

function attempt<T>(
  damages: Omit<Damage, 'images'>[],
  what: Pick<Damage, 'kind' | 'id'>,
  read: () => T,
): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CellarError)) throw error;
    damages.push({ ...what, problem: error.code === 'E_TREE_MISSING' ? 'is missing' : 'is damaged' });
    return undefined;
  }
}

function digestsOf(entries: readonly Entry[]): Digest[] {
  return entries.flatMap(({ digest }) => (digest === undefined ? [] : [digest]));
}
