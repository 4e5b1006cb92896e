/**
 * Which archive file became which tree, so that importing a file that has not changed since costs a stat and not a
 * reading. A file counts as unchanged when device, inode, size, mtime and ctime are what they were, and the ctime is
 * well before the reading began: a write in the same tick of the clock would not show.
 */
import { statSync } from 'node:fs';
import type { Digest } from '../core/digest.ts';
import type { RowChange } from './rows.ts';
import type { Store } from './store.ts';

interface ImportedRow {
  readonly identity: string;
  readonly tree: Digest;
  /** What else decided the tree: exclusions. */
  readonly options: string;
  /** Of the file's bytes, when it was computed. */
  readonly sha256?: Digest;
}

/** A file that was read, to be remembered with the image it became. */
export interface ImportedArchive extends ArchiveIdentity, Omit<ImportedRow, 'identity' | 'tree'> {}

/** A file as it was before it was read. */
export interface ArchiveIdentity {
  readonly path: string;
  readonly identity: string;
}

/** As the format of stores calls these rows. */
const rowKind = 'source';

const settledMs = 2000;

/** `undefined` when it is not a regular file, or was changed just now. */
export function identifyArchive(path: string): ArchiveIdentity | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (stat === undefined || !stat.isFile() || Number(stat.ctimeMs) > Date.now() - settledMs) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  return { path, identity: [dev, ino, size, mtimeNs, ctimeNs].join(' ') };
}

/** Goes with the image's own rows: what was written after them could fail when all is done. */
export function planImported({ path, ...read }: ImportedArchive, tree: Digest): RowChange {
  const value: ImportedRow = { ...read, tree };
  return { kind: rowKind, key: path, value };
}

/** The tree that this very file became under these options (and with this digest, where one is wanted). */
export function recallTree(
  store: Store,
  archive: ArchiveIdentity,
  wanted: { options: string; sha256: Digest | undefined },
): Digest | undefined {
  const row = store.rows.get<ImportedRow>(rowKind, archive.path);
  if (row === undefined || row.identity !== archive.identity || row.options !== wanted.options)
    return undefined;
  return wanted.sha256 === undefined || row.sha256 === wanted.sha256 ? row.tree : undefined;
}
