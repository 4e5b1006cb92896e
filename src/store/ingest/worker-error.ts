/**
 * Errors on their way from a hashing worker to the main thread. A message between threads keeps neither class nor
 * code of an error, and both decide what the user is told.
 */
import { CellarError, isCellarError } from '../../core/errors.ts';
import { errorRegistry, type ErrorCode } from '../../core/error-registry.ts';
import { toCellarError } from '../../sys/errno.ts';

export interface WorkerError {
  readonly code: string;
  readonly message: string;
  /** Negative, of a system call's error: what tells ENOSPC from the rest. */
  readonly errno?: number;
  readonly syscall?: string;
  readonly path?: string;
  /** Of a CellarError: what it was made of. */
  readonly details?: Record<string, string | number | boolean | undefined>;
  readonly hint?: string;
}

export function describeError(error: unknown): WorkerError {
  const { code, errno, message, syscall, path } = error as NodeJS.ErrnoException;
  const base = {
    code: code ?? '',
    message,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path: String(path) }),
  };
  if (!isCellarError(error)) return base;
  const details = { ...error.details } as NonNullable<WorkerError['details']>;
  return { ...base, details, ...(error.hint === undefined ? {} : { hint: error.hint }) };
}

/** `path`: what the worker was writing to, for an error of a system call that names no file. */
export function reviveError(error: WorkerError, path: string): unknown {
  if (error.code in errorRegistry)
    return new CellarError(error.code as ErrorCode, {
      details: error.details ?? {},
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  const revived = Object.assign(new Error(error.message), {
    code: error.code,
    errno: error.errno,
    syscall: error.syscall,
    path: error.path,
  });
  return toCellarError(revived, { doing: 'storing objects', path });
}
