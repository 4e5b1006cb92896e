/** Objects and a manifest taken from another store on this machine, hashed on the way like any other content. */
import { existsSync, lstatSync } from 'node:fs';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { objectFile } from '../../store/layout.ts';
import { openStore } from '../../store/store.ts';
import type { Transaction } from '../../store/transaction.ts';
import { readTree } from '../../store/trees.ts';
import { lstatFull } from '../../sys/stat.ts';
import { listXattrs } from '../../sys/xattr.ts';
import type { Entry } from '../../tree/entry.ts';

/** Entries of the first wanted tree that the other store has whole. */
export async function fetchFromStore(
  transaction: Transaction,
  other: string,
  wanted: { objects: readonly Digest[]; trees: readonly Digest[] },
): Promise<Entry[] | undefined> {
  using source = openStore(other, { readOnly: true });
  for (const object of wanted.objects) {
    const file = objectFile(source.root, object);
    if (!existsSync(file)) continue;
    const path = fromText(file);
    const { perm, uid, gid, size, mtime, mtimeNsec } = lstatFull(path);
    const meta = { mode: perm, uid, gid, mtime, mtimeNsec, xattrs: listXattrs(path) };
    const { ino } = lstatSync(file, { bigint: true });
    await transaction.ingest.path(path, meta, size, { ino: ino.toString(), mtime, mtimeNsec });
  }
  const tree = wanted.trees.find((candidate) => source.rows.get('tree', candidate) !== undefined);
  return tree === undefined ? undefined : readTree(source, tree);
}
