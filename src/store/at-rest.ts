/**
 * What it says of a file in the store that it could not be opened or read. A process out of descriptors, or a user who
 * may not, says nothing of the file: calling that damage would have people mend what is whole.
 */
import { isErrno } from '../sys/errno.ts';

/** @returns `undefined` when the error is no fault of the file; then it is to be thrown on */
export function faultAtRest(error: unknown): 'missing' | 'unreadable' | undefined {
  if (isErrno(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return 'missing';
  if (isErrno(error, 'EIO', 'EUCLEAN', 'EISDIR')) return 'unreadable';
  return undefined;
}
