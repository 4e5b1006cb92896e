/** Making a directory with its parents, and telling truly why it could not be made. */
import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isErrno } from './errno.ts';

/**
 * As `mkdir -p`; every directory made gets `mode` (through the umask). Node's own, with `recursive`, reports errors it
 * does not know, EDQUOT and EIO among them, as ENOENT. @throws SysError's kin: EDQUOT, ENOSPC, EACCES, ENOTDIR, EEXIST …
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
