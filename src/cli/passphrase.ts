/** Where a passphrase may come from: a file or the environment, never the arguments, which every process can read. */
import { readFileSync } from 'node:fs';
import { usage } from './usage.ts';
import { reasonOf } from '../sys/errno.ts';

/** Without the line end; taken out of the environment, so that no program we start inherits it. */
export function readPassphrase(
  file: string | undefined,
  env: Record<string, string | undefined> = process.env,
): string | undefined {
  const { CELLAR_KEY_PASSPHRASE: given } = env;
  delete env['CELLAR_KEY_PASSPHRASE'];
  if (file === undefined) return given === '' ? undefined : given;
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw usage(`--passphrase-file cannot be read: ${reasonOf(error)}`);
  }
}
