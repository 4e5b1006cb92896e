/** The table that every benchmark prints, and the lines that `run-all.sh` gathers. */
import { appendFileSync } from 'node:fs';
import { median, type Sample } from './measure.ts';

export interface Claim {
  readonly name: string;
  readonly ours: readonly Sample[];
  readonly peer: readonly Sample[];
  readonly peerName: string;
  /** Median wall time of ours over the peer's must not exceed this. */
  readonly goal: number;
  /** MiB that our largest process may take at its peak. */
  readonly memory?: number;
}

/** One row of figures other than times: what was found against what was wanted. */
export interface Figure {
  readonly name: string;
  readonly found: string;
  readonly wanted: string;
  readonly pass: boolean;
}

const memoryGoal = 300;
let failed = 0;
let headed = false;

export function reportClaim(claim: Claim): void {
  const ratio = median(claim.ours.map(({ wall }) => wall)) / median(claim.peer.map(({ wall }) => wall));
  const peak = Math.max(...claim.ours.map((sample) => sample.peak));
  const fast = ratio <= claim.goal;
  const small = peak <= (claim.memory ?? memoryGoal);
  row([
    claim.name,
    times(claim.ours),
    `${claim.peerName}: ${times(claim.peer)}`,
    ratio.toFixed(2),
    `≤ ${claim.goal.toFixed(2)}`,
    `${peak.toFixed(0)} MiB`,
    fast && small ? 'pass' : fast ? 'FAIL (memory)' : 'FAIL',
  ]);
  if (!fast || !small) failed++;
}

export function reportFigure(figure: Figure): void {
  row([figure.name, figure.found, '', '', figure.wanted, '', figure.pass ? 'pass' : 'FAIL']);
  if (!figure.pass) failed++;
}

/** Call last: the exit code says whether every goal was reached. */
export function finish(): void {
  process.exitCode = failed > 0 ? 1 : 0;
}

function times(samples: readonly Sample[]): string {
  const walls = samples.map(({ wall }) => wall);
  const cpu = median(samples.map((sample) => sample.cpu));
  return `${show(median(walls))} (${show(Math.min(...walls))}–${show(Math.max(...walls))}), cpu ${show(cpu)}`;
}

function show(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toFixed(0)} ms` : `${seconds.toFixed(2)} s`;
}

function row(cells: readonly string[]): void {
  if (!headed) {
    headed = true;
    print([
      'what',
      'ours: median (min–max)',
      'peer: median (min–max)',
      'ratio',
      'goal',
      'our peak',
      'result',
    ]);
    print(Array.from({ length: 7 }, () => '---'));
  }
  print(cells);
  const gather = process.env['BENCH_RESULTS'];
  if (gather !== undefined) appendFileSync(gather, `| ${cells.join(' | ')} |\n`);
}

function print(cells: readonly string[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}
