/**
 * The database file at rest. When no writer has the store open and the WAL is empty, `cellar.db.sum` holds the digest of
 * the file, so that fsck finds a flipped bit even in bytes that SQLite itself never reads. A writer removes it first and
 * renews it last.
 */
import { readFileSync, rmSync, statSync } from 'node:fs';
import type { DatabaseSync } from 'node:sqlite';
import { fromText } from '../core/bytes.ts';
import { sha256 } from '../core/digest.ts';
import { writeFileAtomic } from '../sys/atomic.ts';
import { isErrno } from '../sys/errno.ts';
import { inStore } from './layout.ts';
import { withFileLock } from './lock.ts';

/** Before the first write. */
export function dropSum(root: string): void {
  rmSync(inStore(root, 'cellar.db.sum'), { force: true });
}

/**
 * Bring the WAL into the file and note the file's digest. What hinders it (readers, a failing disk) leaves the sum
 * absent and the rest to the next writer: the commit stands, in the WAL.
 */
export function settle(root: string, database: DatabaseSync): void {
  try {
    checkpoint(root, database);
  } catch {
    dropSum(root);
  }
}

/** When this process is through with the store. */
export function settleLast(root: string, database: DatabaseSync): void {
  try {
    withFileLock(inStore(root, 'db.lock'), () => settle(root, database));
  } catch {
    // The lock cannot be had: the rows are in the WAL, and the next writer settles.
  }
}

/** False when the file is not what it was when it was put to rest. While it is in use nobody can tell. Hold `db.lock`. */
export function matchesSum(root: string): boolean {
  const sum = readIfThere(inStore(root, 'cellar.db.sum'));
  const walBytes = statSync(`${inStore(root, 'cellar.db')}-wal`, { throwIfNoEntry: false })?.size ?? 0;
  return sum === undefined || walBytes > 0 || sum === databaseSum(root);
}

/**
 * Whether the file was damaged since it was put to rest. Needs no lock: a writer drops the sum before it writes, so what was
 * read while the sum stayed the same is what the sum is of.
 */
export function isDamagedAtRest(root: string): boolean {
  const sum = readIfThere(inStore(root, 'cellar.db.sum'));
  return sum !== undefined && !matchesSum(root) && readIfThere(inStore(root, 'cellar.db.sum')) === sum;
}

function checkpoint(root: string, database: DatabaseSync): void {
  const [state] = database.prepare('PRAGMA wal_checkpoint(TRUNCATE)').all() as { busy: number }[];
  if (state?.busy !== 0) return;
  writeFileAtomic(fromText(inStore(root, 'cellar.db.sum')), databaseSum(root), { mode: 0o600 });
}

function databaseSum(root: string): string {
  return `${sha256(readFileSync(inStore(root, 'cellar.db')))}\n`;
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
