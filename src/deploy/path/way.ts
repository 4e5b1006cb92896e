/**
 * The way to a place where something is deployed. Directories that are missing on it are made with the first version, and
 * stay when the last is taken away, as those of `mkdir -p` do: what else has come to rely on them nobody can know.
 */
import { accessSync, constants, lstatSync, readlinkSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CellarError } from '../../core/errors.ts';
import { toCellarError } from '../../sys/errno.ts';

/**
 * The nearest directory above `path` that is there. `target`: for messages.
 * @throws E_SOURCE_NOT_FOUND where a symlink on the way leads nowhere, E_TARGET_INVALID where what is there is no directory
 */
export function nearestDirectory(path: string, target: string): string {
  const above = dirname(path);
  if (statSync(above, { throwIfNoEntry: false })?.isDirectory() === true) return above;
  const found = lstatSync(above, { throwIfNoEntry: false });
  if (found === undefined) return nearestDirectory(above, target);
  if (!found.isSymbolicLink())
    throw new CellarError('E_TARGET_INVALID', { details: { target, problem: `${above} is no directory` } });
  const source = resolve(dirname(above), readlinkSync(above));
  throw new CellarError('E_SOURCE_NOT_FOUND', {
    details: { source },
    hint: `the symlink ${above} leads there: 'mkdir -p ${source}' makes it`,
  });
}

/** The same of a directory in which something is to be made. @throws as that, E_NOT_ALLOWED */
export function requireWay(path: string, target: string): string {
  const nearest = nearestDirectory(path, target);
  try {
    accessSync(nearest, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw toCellarError(error, { doing: 'deploying to', path: nearest });
  }
  return nearest;
}
