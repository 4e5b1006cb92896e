/** Runs the product as its users do: `bin/cellar` in a process of its own. */
import { fileURLToPath } from 'node:url';
import { run, type RunOptions, type RunResult } from './run.ts';

export const cellarProgram = fileURLToPath(new URL('../../bin/cellar', import.meta.url));

export interface CellarOptions extends RunOptions {
  readonly store?: string;
  /** Words put before the command: `strace …`, `unshare …`. */
  readonly under?: readonly string[];
}

export interface CellarRun extends Omit<RunResult, 'stdout'> {
  readonly stdout: string;
  readonly bytes: Buffer;
  /** The last line of stdout, parsed, where it is a JSON object. */
  readonly result: Record<string, unknown> | undefined;
}

/** Runs `cellar ARGS`; resolves whatever the exit code is. Add `--json` to get `result`. */
export async function cellar(args: readonly string[], options: CellarOptions = {}): Promise<CellarRun> {
  const { store, under = [], env, ...rest } = options;
  const done = await run([...under, cellarProgram, ...args], {
    ...rest,
    env: { ...(store === undefined ? {} : { CELLAR_STORE: store }), ...env },
  });
  const stdout = done.stdout.toString();
  return { ...done, stdout, bytes: done.stdout, result: lastObject(stdout) };
}

/** As `cellar`, with `--json`; throws unless it exits 0, and resolves to the result object. */
export async function cellarOk(
  args: readonly string[],
  options: CellarOptions = {},
): Promise<Record<string, unknown>> {
  const done = await cellar(['--json', ...args], options);
  if (done.code !== 0 || done.result === undefined) {
    throw new Error(
      `cellar ${args.join(' ')}: exit ${done.code ?? done.signal}\n${done.stderr}${done.stdout}`,
    );
  }
  return done.result;
}

function lastObject(stdout: string): Record<string, unknown> | undefined {
  const line = stdout.trimEnd().slice(stdout.trimEnd().lastIndexOf('\n') + 1);
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
