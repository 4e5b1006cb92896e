/** Running a program to its end, with everything it said. */
import { spawn, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { mayGiveFilesAway, mayMount } from '../../src/sys/privilege.ts';

export interface RunOptions {
  readonly input?: string | Buffer;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal;
}

export interface RunResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** Runs `command` and resolves whatever its exit code is. */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [program, ...args] = command;
  const child = spawn(program as string, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    signal: options.signal,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() });
    });
  });
}

/** Runs a shell command that has to succeed; resolves to its stdout. */
export async function sh(script: string, options: RunOptions = {}): Promise<string> {
  const result = await run(['sh', '-ec', script], options);
  if (result.code !== 0) throw new Error(`sh: ${script}\nexit ${result.code}: ${result.stderr}`);
  return result.stdout.toString();
}

/** Whether every one of these programs is on the PATH. */
export function hasPrograms(...programs: string[]): boolean {
  return programs.every(
    (program) => spawnSync('sh', ['-c', 'command -v -- "$0"', program], { stdio: 'ignore' }).status === 0,
  );
}

/** Single-quotes a word for sh. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

const isWholeRoot = mayGiveFilesAway() && mayMount();

/** node:test's `skip`: the reason when something is missing, else false. A container's root may lack what `root` needs. */
export function needs(options: {
  root?: boolean;
  /** Runs the sources as another user. */
  nobody?: boolean;
  programs?: readonly string[];
}): string | false {
  if (options.root === true && !isWholeRoot) return 'needs root that may mount';
  if (options.nobody === true && !isOpenToAll(import.meta.dirname))
    return 'needs sources in directories that other users may enter';
  const missing = (options.programs ?? []).filter((program) => !hasPrograms(program));
  return missing.length > 0 ? `needs ${missing.join(', ')}` : false;
}

/** Each directory on the way can be passed by anybody. */
function isOpenToAll(directory: string): boolean {
  const parent = dirname(directory);
  return (statSync(directory).mode & 0o1) !== 0 && (parent === directory || isOpenToAll(parent));
}

/** How much of the full loops is wanted (`npm run soak`): 1 is all, 0.1 a tenth of each kind, 0 the short run. */
export const soakShare = Number(process.env['CELLAR_SOAK'] ?? 0);
export const soak = soakShare > 0;

/** How often to do what the full run does `full` times and the short one `short` times. */
export function portion(full: number, short: number): number {
  return soak ? Math.ceil(full * soakShare) : short;
}

/** Whether everything that root does can be done here. */
export const privileged = needs({ root: true }) === false;
