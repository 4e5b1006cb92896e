/**
 * Errors of system calls. Calls made through koffi throw {@link SysError}, which has the shape of Node's own
 * (`code`, negative `errno`, `syscall`, `path`), so one `catch` serves both; {@link toCellarError} turns either
 * into an error a user can act on.
 */
import { constants } from 'node:os';
import { getSystemErrorMessage } from 'node:util';
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';

/** Positive errno values by name (errno(3)); the same on x86-64 and arm64. */
export const errnos = { ...constants.errno, EUCLEAN: 117 } as const;

export type ErrnoName = keyof typeof errnos;

export class SysError extends Error {
  override readonly name = 'SysError';
  /** For instance `ENOSPC`. */
  readonly code: string;
  /** Negative, as in Node's errors. */
  readonly errno: number;
  readonly syscall: string;
  readonly path: ByteString | undefined;
  /** The message without errno, call and path. */
  readonly reason: string;

  /** `errno` is positive here, as errno(3) gives it. `remark` is what the kernel itself said, where it says more. */
  constructor(
    errno: number,
    { syscall, path, remark }: { syscall: string; path?: ByteString; remark?: string },
  ) {
    const code = errnoName(errno);
    const where = path === undefined ? '' : ` '${toText(path)}'`;
    const reason = remark ?? getSystemErrorMessage(-errno);
    super(`${code}: ${reason}, ${syscall}${where}`);
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
    this.path = path;
    this.reason = reason;
  }
}

export function isSystemCall(error: unknown): error is NodeJS.ErrnoException {
  return positiveErrno(error) !== undefined;
}

/** What an error says to somebody who does not care which call failed: `permission denied`, without errno, call and path. */
export function reasonOf(error: unknown): string {
  if (error instanceof SysError) return error.reason;
  const errno = positiveErrno(error);
  if (errno === undefined) return error instanceof Error ? error.message : String(error);
  return getSystemErrorMessage(-errno);
}

/** True for an error of a system call (Node's or ours) with that errno. */
export function isErrno(error: unknown, ...names: ErrnoName[]): error is NodeJS.ErrnoException {
  const errno = positiveErrno(error);
  return errno !== undefined && names.some((name) => errnos[name] === errno);
}

/**
 * What a user should read. `doing` completes "… while {doing}"; `path` is text for a screen. A CellarError passes
 * through; an error that came from no system call becomes E_INTERNAL.
 */
export function toCellarError(error: unknown, context: { doing: string; path: string }): CellarError {
  if (error instanceof CellarError) return error;
  if (error instanceof SuppressedError) return toCellarError(firstError(error), context);
  const { doing, path } = context;
  if (error instanceof Error && error.name === 'AbortError')
    return new CellarError('E_CANCELLED', { cause: error });
  const problem = reasonOf(error);
  switch (positiveErrno(error)) {
    case undefined:
      return new CellarError('E_INTERNAL', {
        details: { problem: `${doing} on ${path}: ${problem}` },
        cause: error,
      });
    case errnos.ENOSPC:
      return new CellarError('E_NO_SPACE', { details: { path, doing }, cause: error });
    case errnos.EDQUOT:
      return new CellarError('E_QUOTA', { details: { path, doing }, cause: error });
    case errnos.EMFILE:
    case errnos.ENFILE:
      return new CellarError('E_TOO_MANY_OPEN', { details: { doing, path }, cause: error });
    case errnos.EROFS:
    case errnos.EPERM:
    case errnos.EACCES:
      return new CellarError('E_NOT_ALLOWED', {
        details: { operation: `${doing} ${path}`, problem },
        ...(process.geteuid?.() === 0 ? {} : { hint: 'run it as root, or as a user who may' }),
        cause: error,
      });
    default:
      return new CellarError('E_IO', {
        details: { doing, path, problem },
        ...(isRefusedStart(error) ? { hint: startHint } : {}),
        cause: error,
      });
  }
}

/** Too many processes: fork(2) and clone(2) say EAGAIN to `spawn`, and to a new thread, for which Node names no call. */
function isRefusedStart(error: unknown): boolean {
  if (positiveErrno(error) !== errnos.EAGAIN) return false;
  const { syscall } = error as NodeJS.ErrnoException;
  return syscall === undefined || syscall.startsWith('spawn');
}

const startHint = "raise what bounds processes and threads here: 'ulimit -u', or pids.max of the cgroup";

/** Of errors on the way out of `using` blocks, the one that began it. */
export function firstError(error: unknown): unknown {
  return error instanceof SuppressedError ? firstError(error.suppressed) : error;
}

const names = new Map<number, string>(
  // Where two names share a number the later one wins: ENOTSUP and EAGAIN are the ones Node uses.
  [
    ...Object.entries(errnos),
    ['ENOTSUP', errnos.ENOTSUP] as const,
    ['EAGAIN', errnos.EAGAIN] as const,
    ['EDEADLK', errnos.EDEADLK] as const,
  ].map(([name, value]) => [value, name]),
);

function errnoName(errno: number): string {
  return names.get(errno) ?? `errno ${errno}`;
}

function positiveErrno(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  // Node has words only for a thread that could not be started: `Worker initialization failure: EMFILE`, or `EAGAIN`.
  if ('code' in error && error.code === 'ERR_WORKER_INIT_FAILED')
    return errnos[/(?:^|: )(E[A-Z]+)$/.exec(error.message)?.[1] as ErrnoName];
  if (!('errno' in error) || typeof error.errno !== 'number') return undefined;
  // node:sqlite and others use `errno` for numbers of their own, without a `syscall`.
  if (!('syscall' in error)) return undefined;
  const errno = Math.abs(error.errno);
  return (errno === unknownToNode ? errnoSaid(error.message) : undefined) ?? errno;
}

/** UV_UNKNOWN: with which `rmSync` throws most errors, and the C library's words. Source: libuv, include/uv/errno.h. */
const unknownToNode = 4094;

/** As strerror(3) of glibc has them, which no locale was set for. */
const saidAs: Readonly<Record<string, ErrnoName>> = {
  'Input/output error': 'EIO',
  'Device or resource busy': 'EBUSY',
  'Read-only file system': 'EROFS',
  'No space left on device': 'ENOSPC',
  'Disk quota exceeded': 'EDQUOT',
  'Stale file handle': 'ESTALE',
  'Cannot allocate memory': 'ENOMEM',
  'Too many open files': 'EMFILE',
  'Too many open files in system': 'ENFILE',
  'Text file busy': 'ETXTBSY',
};

function errnoSaid(message: string): number | undefined {
  const words = /^(?:, )?Unknown error: ([^']+?) '/.exec(message)?.[1];
  const name = words === undefined ? undefined : saidAs[words];
  return name === undefined ? undefined : errnos[name];
}
