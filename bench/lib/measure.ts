/**
 * Whole commands measured from outside: wall time, CPU time and peak memory, ours and the peer's in turn (A B A B),
 * each after its own untimed preparation and a sync, so that drifts of the machine hit both alike.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const lab = process.env['LAB'] ?? join(tmpdir(), 'lab');
export const runs = Number(process.env['BENCH_RUNS'] ?? 5);
export const cellarProgram = fileURLToPath(new URL('../../bin/cellar', import.meta.url));
export const nodeProgram = process.execPath;
/** `tar` options that keep everything GNU tar can keep. */
export const tarKeep = `--numeric-owner --xattrs --xattrs-include='*' --acls`;

export interface Contender {
  readonly name: string;
  /** Shell text run before each measurement, untimed; a sync follows it. */
  readonly prepare?: string;
  /** Shell text that is measured. */
  readonly command: string;
  /** Shell text run after each measurement, untimed. */
  readonly after?: string;
}

export interface Sample {
  /** Seconds. */
  readonly wall: number;
  /** User and system seconds of all processes of the command. */
  readonly cpu: number;
  /** MiB of the largest single process. */
  readonly peak: number;
}

/** Runs shell text that has to succeed. */
export function shell(script: string): string {
  const done = spawnSync('bash', ['-o', 'pipefail', '-euc', script], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: environment,
  });
  if (done.status !== 0) {
    throw new Error(`failed (${done.status ?? done.signal}): ${script}\n${done.stderr.slice(-2000)}`);
  }
  return done.stdout;
}

const environment = { ...process.env, LAB: lab, CELLAR: cellarProgram, CELLAR_PROGRESS: 'none' };

export function measureOnce(contender: Contender): Sample {
  if (contender.prepare !== undefined) shell(contender.prepare);
  shell('sync');
  const scratch = mkdtempSync(join(tmpdir(), 'cellar-bench-'));
  const report = join(scratch, 'time');
  try {
    const started = process.hrtime.bigint();
    const done = spawnSync(
      '/usr/bin/time',
      ['-q', '-o', report, '-f', '%U %S %M', 'bash', '-o', 'pipefail', '-euc', contender.command],
      { stdio: ['ignore', 'ignore', 'pipe'], maxBuffer: 1 << 26, env: environment },
    );
    const wall = Number(process.hrtime.bigint() - started) / 1e9;
    if (done.status !== 0) {
      throw new Error(
        `${contender.name} failed (${done.status}): ${contender.command}\n${done.stderr.toString().slice(-2000)}`,
      );
    }
    const [user = 0, system = 0, kilobytes = 0] = readFileSync(report, 'utf8')
      .trim()
      .split(/\s+/)
      .map(Number);
    return { wall, cpu: user + system, peak: kilobytes / 1024 };
  } finally {
    rmSync(scratch, { recursive: true });
    if (contender.after !== undefined) shell(contender.after);
  }
}

/** Each contender `count` times in turn, after one unmeasured round when `warmUp`. */
export function alternate(
  contenders: readonly Contender[],
  options: { count?: number; warmUp?: boolean } = {},
): Sample[][] {
  const samples: Sample[][] = contenders.map(() => []);
  if (options.warmUp === true) contenders.forEach(measureOnce);
  for (let round = 0; round < (options.count ?? runs); round++) {
    contenders.forEach((contender, index) => samples[index]?.push(measureOnce(contender)));
  }
  return samples;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return ((sorted[(sorted.length - 1) >> 1] ?? NaN) + (sorted[sorted.length >> 1] ?? NaN)) / 2;
}
