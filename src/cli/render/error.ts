/**
 * An error for people: what, where and why on the first line, the next command on the second.
 *
 *   cellar: error[E_NOT_FOUND]: no image 'debian:13' in the store /var/lib/cellar
 *   hint: 'cellar ls' shows what is there
 */
import { CellarError } from '../../core/errors.ts';
import { firstError, isSystemCall, toCellarError } from '../../sys/errno.ts';
import type { Style } from './style.ts';

export interface ErrorView {
  readonly style: Style;
  /** Add where it was thrown and what caused it. */
  readonly verbose?: boolean;
}

export function errorLines(error: CellarError, { style, verbose = false }: ErrorView): string[] {
  const head = `cellar: ${style.red(`error[${error.code}]`)}: ${oneLine(error.message)}`;
  const hint = error.hint === undefined ? [] : [`${style.cyan('hint:')} ${oneLine(error.hint)}`];
  return [head, ...hint, ...(verbose ? causes(error).map((line) => style.dim(line)) : [])];
}

/** Any throwable as one of ours: a system call's failure by its errno, a cancellation, else an internal error. */
export function asCellarError(error: unknown): CellarError {
  if (error instanceof SuppressedError) return asCellarError(firstError(error));
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
  if (error instanceof CellarError) return error;
  if (error instanceof Error && error.name === 'AbortError')
    return new CellarError('E_CANCELLED', { cause: error });
  const problem = error instanceof Error ? error.message : String(error);
  return new CellarError('E_INTERNAL', { details: { problem }, cause: error });
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

function causes(error: Error): string[] {
  const lines = stack(error);
  for (let cause = error.cause, depth = 0; cause !== undefined && depth < 8; depth++) {
    const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : JSON.stringify(cause);
    lines.push(`caused by: ${oneLine(text)}`);
    if (!(cause instanceof Error)) break;
    lines.push(...stack(cause));
    cause = cause.cause;
  }
  return lines;
}

function stack(error: Error): string[] {
  return (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
}

/** File names and server replies end up in messages: no control character reaches the terminal. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, (found) => (/^[\n\t]+$/.test(found) ? ' ' : '?'));
}
