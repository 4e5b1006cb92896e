/** Finding programs on the PATH without running them. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Root's tools are often missing from an ordinary user's PATH. */
const usual = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

export function findProgram(name: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), ...usual];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
