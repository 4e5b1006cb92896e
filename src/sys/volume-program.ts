/** Running the programs of volume managers: arguments as they are, no shell, and messages that can be quoted. */
import { CellarError } from '../core/errors.ts';
import { childProcess } from './child-process.ts';
import { findProgram } from './programs.ts';

/** @returns what it wrote to standard output. @throws E_VOLUME_FAILED with what it said */
export function runVolumeProgram(program: string, args: readonly string[]): string {
  const { status, problem, stdout, cause } = tryVolumeProgram(program, args);
  if (status === 0) return stdout;
  // `zfs create`, but `lvcreate` for one that has no words of its own.
  const [word = '-'] = args;
  const what = word.startsWith('-') ? program : `${program} ${word}`;
  throw new CellarError('E_VOLUME_FAILED', { details: { program: what, problem }, cause });
}

export interface ProgramResult {
  readonly status: number | undefined;
  readonly stdout: string;
  /** Its last words, in one line. */
  readonly problem: string;
  /** Why it could not be run. */
  readonly cause: Error | undefined;
}

/** As {@link runVolumeProgram}, for programs that answer by their exit code. */
export function tryVolumeProgram(program: string, args: readonly string[]): ProgramResult {
  const { status, stdout, stderr, error } = childProcess().spawnSync(
    findProgram(program) ?? program,
    [...args],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', LVM_SUPPRESS_FD_WARNINGS: '1' },
    },
  );
  const said = (stderr ?? '')
    .trim()
    .split(/\s*\n\s*/)
    .slice(-3)
    .join('; ');
  const problem = said === '' ? (error?.message ?? `exit code ${status ?? 'none'}`) : said;
  return { status: status ?? undefined, stdout: stdout ?? '', problem, cause: error };
}
