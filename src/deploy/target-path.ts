/** Paths in the names of targets: absolute, without a slash at the end, and never the root. */
import { normalize } from 'node:path';
import { CellarError } from '../core/errors.ts';

/** @throws E_TARGET_INVALID */
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
    throw new CellarError('E_TARGET_INVALID', { details: { target: `${kind}:${text}`, problem } });
  return path;
}
