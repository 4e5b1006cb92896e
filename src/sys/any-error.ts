/** Whatever was thrown, as an error that a user can read: the last resort where nobody nearer had words for it. */
import { CellarError } from '../core/errors.ts';
import { firstError, isSystemCall, toCellarError } from './errno.ts';

/** A system call's failure by its errno, a cancellation, else an internal error. */
export function asCellarError(thrown: unknown): CellarError {
  const error = explained(thrown);
  if (error instanceof CellarError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new CellarError('E_CANCELLED', { cause: error });
  const problem = error instanceof Error ? error.message : String(error);
  return new CellarError('E_INTERNAL', { details: { problem }, cause: error });
}

/**
 * For whoever goes on after a failure: what the system refused is told by its errno like any other; what is no such
 * thing, a mistake of ours among it, comes back as it is.
 */
export function explained(thrown: unknown): unknown {
  const error = firstError(thrown);
  const { syscall, path } = (error ?? {}) as NodeJS.ErrnoException;
  if (syscall === 'uv_cwd')
    return new CellarError('E_SOURCE_NOT_FOUND', {
      details: { source: 'the current directory' },
      hint: 'it was removed: change to another one',
      cause: error,
    });
  if (typeof syscall === 'string')
    return toCellarError(error, { doing: doings[syscall] ?? syscall, path: path ?? 'this machine' });
  if (isSystemCall(error)) return toCellarError(error, { doing: 'starting a thread', path: 'this machine' });
  return error;
}

/** What the calls do that fail without anybody nearer by having words for it. */
const doings: Readonly<Record<string, string>> = {
  access: 'looking at',
  chmod: 'changing',
  chown: 'changing',
  copyfile: 'copying',
  fchmod: 'changing',
  fchown: 'changing',
  fstat: 'looking at',
  fsync: 'writing',
  ftruncate: 'writing',
  link: 'linking',
  lstat: 'looking at',
  mkdir: 'making',
  open: 'opening',
  openat2: 'opening',
  opendir: 'reading',
  read: 'reading',
  readlink: 'reading',
  realpath: 'looking at',
  rename: 'renaming',
  renameat2: 'renaming',
  rmdir: 'removing',
  scandir: 'reading',
  stat: 'looking at',
  symlink: 'making',
  unlink: 'removing',
  utimes: 'changing',
  write: 'writing',
  writev: 'writing',
};
