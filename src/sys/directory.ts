/** Directories that may not be there, where that is as good an answer as any. Paths are text. */
import { readdirSync, rmdirSync } from 'node:fs';
import { isErrno } from './errno.ts';

/** None where there is no such directory. @throws Node's EACCES, ENOTDIR, … */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
}

/** None where it cannot be read, either: for looking around in places that are others'. */
export function readableNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** What holds something, is in use or was never made stays as it is. */
export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // As above.
  }
}
