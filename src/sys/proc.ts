/**
 * Where /proc is not mounted (a bare chroot) nothing is found there: no mount, no process, no user of a directory. What
 * would be taken away because nobody seems to use it must not be, so this is an error and never an empty list.
 */
import { existsSync, readdirSync } from 'node:fs';
import { CellarError } from '../core/errors.ts';

/** Ids of the processes we may see, as text. @throws CellarError E_NO_PROC */
export function processIds(): string[] {
  requireProc();
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

/** @throws CellarError E_NO_PROC */
export function requireProc(cause?: unknown): void {
  if (!existsSync('/proc/self/stat')) throw new CellarError('E_NO_PROC', { cause });
}
