/**
 * Who may do what at the same time. Three locks, all flock(2), so a killed process releases what it held:
 *
 *   lock       shared from the first presence check of an object to the commit; exclusive while gc sweeps.
 *              Never upgraded: a failed upgrade would drop it.
 *   turnstile  everyone passes it on the way to `lock`; gc holds it while it waits, so that overlapping shared
 *              holders cannot keep gc out for ever.
 *   db.lock    exclusive for the milliseconds of one database write.
 */
import { openSync } from 'node:fs';
import { closeQuietly } from '../sys/close.ts';
import { flock, tryFlock } from '../sys/flock.ts';
import { CellarError } from '../core/errors.ts';
import { inStore } from './layout.ts';

export interface LockOptions {
  readonly signal?: AbortSignal;
}

/** Hold the store's lock until disposed. @throws E_CANCELLED */
export async function lockStore(
  root: string,
  mode: 'shared' | 'exclusive',
  options: LockOptions = {},
): Promise<Disposable> {
  using turnstile = openLock(inStore(root, 'turnstile'));
  await flock(turnstile.fd, mode, options);
  const lock = openLock(inStore(root, 'lock'));
  try {
    await flock(lock.fd, mode, options);
    return lock;
  } catch (error) {
    lock[Symbol.dispose]();
    throw error;
  }
}

/** Run `work` under an exclusive lock that is only ever held for milliseconds. @throws E_LOCKED after 30 s */
export function withFileLock<T>(file: string, work: () => T): T {
  using lock = openLock(file);
  const deadline = Date.now() + 30_000;
  while (!tryFlock(lock.fd, 'exclusive')) {
    if (Date.now() > deadline) throw new CellarError('E_LOCKED', { details: { holder: file } });
    Atomics.wait(sleeper, 0, 0, 2);
  }
  return work();
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

export interface HeldFile extends Disposable {
  readonly fd: number;
}

/** A file descriptor that is closed, and so unlocked, when disposed. */
export function openLock(file: string): HeldFile {
  const fd = openSync(file, 'a', 0o600);
  return {
    fd,
    [Symbol.dispose]() {
      closeQuietly(fd);
    },
  };
}
