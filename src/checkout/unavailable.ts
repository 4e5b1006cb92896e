/**
 * What only shows when it is tried: a kernel, a container or a file system that refuses a mount. Such a method does not
 * serve here, so `auto` goes on with the next; anything else is a failure.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import type { MethodName } from './port.ts';

/** @throws E_METHOD_UNAVAILABLE */
export async function asUnavailable<T>(method: MethodName, work: () => Promise<T> | T): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    throw new CellarError('E_METHOD_UNAVAILABLE', { details: { method, problem: cause.message }, cause });
  }
}

/** Only of the calls that mount: ENOSPC or EPERM of a plain write is a failure of the checkout itself. */
function isRefusal(error: unknown): error is Error {
  if (isCellarError(error, 'E_MISSING_TOOL') || isCellarError(error, 'E_EROFS_LIMIT')) return true;
  if (
    !isErrno(
      error,
      'EPERM',
      'EACCES',
      'EINVAL',
      'ENODEV',
      'ENOSYS',
      'EOPNOTSUPP',
      'ENOENT',
      'EUCLEAN',
      'ENXIO',
      'ELOOP',
    )
  )
    return false;
  return /mount|^fs|open_tree|LOOP/.test(error.syscall ?? '') || /loop/.test(error.path ?? '');
}
