/** What names of targets may be: paths are absolute and never the root; machines have names of their own. */
import { normalize, resolve } from 'node:path';
import { CellarError } from '../../core/errors.ts';

/** Absolute, without a slash at the end. @throws E_TARGET_INVALID */
export function absolutePath(kind: string, text: string): string {
  const path = normalize(text).replace(/\/+$/, '');
  const problem = !text.startsWith('/')
    ? 'its path must be absolute'
    : path === ''
      ? 'the root cannot be switched'
      : hasControls(text)
        ? 'its path holds a control character'
        : undefined;
  if (problem !== undefined)
    throw new CellarError('E_TARGET_INVALID', {
      details: { target: `${kind}:${text}`, problem },
      ...(text.startsWith('/') || text === '' ? {} : { hint: `did you mean '${kind}:${resolve(text)}'?` }),
    });
  return path;
}

/** Names of targets are written into tables, messages and the environment of commands. */
function hasControls(text: string): boolean {
  // eslint-disable-next-line no-control-regex
  return /[\x00-\x1f\x7f]/.test(text);
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
