/** Closing a descriptor whose content does not depend on it. */
import { closeSync } from 'node:fs';
import { isErrno } from './errno.ts';

/**
 * Closes what was locked, read, or written and synced. close(2) may then still tell of an error of the device, which
 * concerns nobody any more: the descriptor is gone on Linux whatever it says, and a finished change stays finished.
 */
export function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch (error) {
    // EBADF is a fault of ours.
    if (!isErrno(error, 'EIO', 'ENOSPC', 'EDQUOT', 'EINTR')) throw error;
  }
}
