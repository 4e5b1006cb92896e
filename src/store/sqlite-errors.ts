/** SQLite's errors in our words, so that a full disk is a full disk whoever met it. Source: sqlite.org/rescode.html */
import { CellarError } from '../core/errors.ts';
import { freeBytes } from './reserve.ts';

/** @throws E_DATABASE_DAMAGED, E_NO_SPACE, E_LOCKED, E_IO; what is no error of SQLite passes through */
export function translateSqlite<T>(root: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = (error as { errcode?: number }).errcode;
    if (code === undefined || error instanceof CellarError) throw error;
    const problem = (error as Error).message;
    const primary = code & 0xff;
    if (primary === 11 || primary === 26)
      throw new CellarError('E_DATABASE_DAMAGED', { details: { problem }, cause: error });
    // On a full disk SQLite says "I/O error" or "unable to open" of the files beside the database.
    if (primary === 13 || ((primary === 10 || primary === 14) && freeBytes(root) < 1 << 16))
      throw new CellarError('E_NO_SPACE', {
        details: { path: root, doing: 'writing the database' },
        cause: error,
      });
    if (primary === 5) throw new CellarError('E_LOCKED', { details: { holder: 'database' }, cause: error });
    throw new CellarError('E_IO', {
      details: { doing: 'writing the database', path: 'cellar.db', problem },
      cause: error,
    });
  }
}
