/** What names of targets may be: paths are absolute and never the root; machines have names of their own. */
import { normalize, resolve } from 'node:path';
import { CellarError } from '../core/errors.ts';

/** Absolute, without a slash at the end. @throws E_TARGET_INVALID */
export function absolutePath(kind: string, text: string): string {
  const path = normalize(text).replace(/\/+$/, '');
  const problem = !text.startsWith('/')
    ? 'its path must be absolute'
    : path === ''
      ? 'the root cannot be switched'
      : text.includes('\0')
        ? 'its path holds a NUL'
        : undefined;
  if (problem !== undefined)
    throw new CellarError('E_TARGET_INVALID', {
      details: { target: `${kind}:${text}`, problem },
      ...(text.startsWith('/') || text === '' ? {} : { hint: `did you mean '${kind}:${resolve(text)}'?` }),
    });
  return path;
}

/**
 * As systemd takes them for machines: at most 64 letters, digits, `-`, `_` and `.`, the first a letter or a digit.
 * @throws E_TARGET_INVALID
 */
export function machineName(kind: string, text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/.test(text) && !/\.(?:\.|$)/.test(text)) return text;
  throw new CellarError('E_TARGET_INVALID', {
    details: {
      target: `${kind}:${text}`,
      problem: 'names are at most 64 letters, digits, - _ and single dots, the first a letter or a digit',
    },
  });
}
