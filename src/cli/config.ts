/** `--config`: a file that is named has to be there, for verbs that take nothing from it, too. */
import { accessSync, constants } from 'node:fs';
import { CellarError } from '../core/errors.ts';
import { reasonOf } from '../sys/errno.ts';

/** @throws E_CONFIG when it cannot be read */
export function requireConfig(file: string): void {
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new CellarError('E_CONFIG', {
      details: { place: file, problem: `it cannot be read: ${reasonOf(error)}` },
      hint: '--config names the file; without it ./cellar.yaml is read, else /etc/cellar/cellar.yaml',
      cause: error,
    });
  }
}
