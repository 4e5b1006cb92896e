/** `--vars FILE`: a line `KEY=VALUE` each; blank lines and lines that begin with # are passed over. */
import { readFileSync } from 'node:fs';
import { usage } from './usage.ts';

/** @throws E_USAGE */
export function readVars(file: string): Record<string, string> {
  const lines = readFileSync(file, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line, at) => {
      if (line.trim() === '' || line.startsWith('#')) return [];
      const equals = line.indexOf('=');
      if (equals < 1) throw usage(`line ${at + 1} of ${file} is not KEY=VALUE`);
      return [[line.slice(0, equals).trim(), line.slice(equals + 1)]];
    }),
  );
}
