/**
 * flock(2), which Node lacks. A lock belongs to the open file description and ends with its process, so nothing
 * here can go stale. Waiting polls: a blocking flock would stop the event loop and could not be cancelled.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { CellarError } from '../core/errors.ts';
import { errnos } from './errno.ts';
import { lastErrno, libc, sysError } from './libc.ts';

export type LockMode = 'shared' | 'exclusive';

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

const firstDelayMs = 1;
const lastDelayMs = 50;

/**
 * True when the lock was taken. Do not convert a held lock with it: Linux drops the old lock before it tries the
 * new one, so after a failed conversion nothing is held.
 * @throws SysError for anything but "somebody else holds it"
 */
export function tryFlock(fd: number, mode: LockMode): boolean {
  const operation = (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB;
  for (;;) {
    if (libc().flock(fd, operation) === 0) return true;
    const errno = lastErrno();
    if (errno === errnos.EAGAIN) return false;
    if (errno !== errnos.EINTR) throw sysError('flock');
  }
}

/** Waits for the lock, at most 50 ms longer than needed. @throws CellarError E_CANCELLED when the signal fires */
export async function flock(
  fd: number,
  mode: LockMode,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  const { signal } = options;
  for (let delay = firstDelayMs; ; delay = Math.min(delay * 2, lastDelayMs)) {
    if (signal?.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
    if (tryFlock(fd, mode)) return;
    // An abort wakes the sleep early; the loop then reports it.
    await sleep(delay, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
  }
}
