/** Directories that may or may not be there: listing, making and removing them. Paths are text. */
import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
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

/**
 * As `mkdir -p`; every directory made gets `mode` (through the umask). Node's own, with `recursive`, reports errors it
 * does not know, EDQUOT and EIO among them, as ENOENT. @throws Node's EDQUOT, ENOSPC, EACCES, ENOTDIR, EEXIST …
 */
export function makeDirectory(path: string, mode: number): void {
  try {
    makeOne(path, mode);
  } catch (error) {
    const parent = dirname(path);
    if (!isErrno(error, 'ENOENT') || parent === path) throw error;
    makeDirectory(parent, mode);
    makeOne(path, mode);
  }
}

function makeOne(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const isThere =
      isErrno(error, 'EEXIST') && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
    if (!isThere) throw error;
  }
}
