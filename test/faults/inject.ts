/**
 * Makes the N-th call of one system call fail in a real `cellar`, by strace(1). It counts per thread: main thread,
 * workers and the thread pool each meet their own N-th call.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cellarProgram } from '../support/cellar.ts';
import { run } from '../support/run.ts';
import { ended, killGroup, sleep, startCellar } from './rig.ts';
import { generator } from '../support/random.ts';

export interface Fault {
  readonly call: string;
  readonly error: string;
  /** The how manieth call of a thread fails, from 1. */
  readonly when: number;
  /** Only calls that concern this file count. */
  readonly path?: string;
}

export interface Outcome {
  /** Null when it had to be killed. */
  readonly code: number | null;
  readonly stderr: string;
  /** Trace lines of calls that were made to fail. */
  readonly injected: readonly string[];
}

/** Calls on the write path, each with what it can fail with. */
export const writeCalls: Readonly<Record<string, readonly string[]>> = {
  openat: ['ENOSPC', 'EMFILE', 'EDQUOT', 'EIO'],
  write: ['ENOSPC', 'EIO', 'EDQUOT'],
  pwrite64: ['ENOSPC', 'EIO', 'EDQUOT'],
  writev: ['ENOSPC', 'EIO'],
  mkdir: ['ENOSPC', 'EDQUOT', 'EIO'],
  mkdirat: ['ENOSPC', 'EDQUOT', 'EIO'],
  rename: ['ENOSPC', 'EIO', 'EDQUOT'],
  renameat2: ['ENOSPC', 'EIO'],
  link: ['ENOSPC', 'EIO'],
  linkat: ['ENOSPC', 'EIO'],
  ftruncate: ['EIO', 'ENOSPC'],
  fallocate: ['ENOSPC', 'EIO'],
  copy_file_range: ['ENOSPC', 'EIO'],
  fchown: ['EIO', 'EDQUOT'],
  fchmod: ['EIO'],
  utimensat: ['EIO'],
  fsetxattr: ['ENOSPC', 'EIO', 'EDQUOT'],
  lsetxattr: ['ENOSPC', 'EIO'],
  syncfs: ['EIO', 'ENOSPC', 'EDQUOT'],
  fsync: ['EIO', 'ENOSPC'],
  fdatasync: ['EIO', 'ENOSPC'],
  close: ['EIO'],
  statx: ['EIO'],
  fstat: ['EIO'],
  newfstatat: ['EIO'],
  read: ['EIO'],
  pread64: ['EIO'],
  getdents64: ['EIO'],
  unlink: ['EIO'],
  rmdir: ['EIO'],
};

/** Calls that mount and switch, which are no part of the write path of a store. */
export const switchCalls: Readonly<Record<string, readonly string[]>> = {
  symlink: ['ENOSPC', 'EIO'],
  readlink: ['EIO'],
  unlinkat: ['EIO'],
  fsopen: ['EIO', 'EMFILE'],
  fsconfig: ['EIO'],
  fsmount: ['EIO', 'EMFILE'],
  open_tree: ['EIO', 'EMFILE'],
  move_mount: ['EIO'],
  mount_setattr: ['EIO'],
  umount2: ['EIO'],
};

function injection({ call, error, when, path }: Fault): string[] {
  const only = path === undefined ? [] : ['-P', path];
  return ['-e', `trace=${call}`, ...only, '-e', `inject=${call}:error=${error}:when=${when}`];
}

/** The command from its start. */
export async function runWithFault(args: readonly string[], store: string, fault: Fault): Promise<Outcome> {
  const log = `${store}.strace`;
  const [strace, ...words] = traced(log, injection(fault), args);
  const child = spawn(strace as string, words, {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, CELLAR_STORE: store },
  });
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
  const said = new Promise<void>((resolve) => child.stderr.once('close', () => resolve()));
  const code = await endedInTime(child);
  await said;
  return { code, stderr, injected: injectedLines(log) };
}

/**
 * An import from standard input, into which strace steps once the transaction has begun and waits for input: the
 * counts then begin with the first byte, and none is spent on the program's own start.
 */
export async function importWithFault(archive: Buffer, store: string, fault: Fault): Promise<Outcome> {
  const log = `${store}.strace`;
  const child = startCellar(['import', '-', 'new'], store, 'pipe');
  let stderr = '';
  child.stderr?.on('data', (text: Buffer) => (stderr += text.toString()));
  child.stdin?.on('error', () => undefined);
  const exited = endedInTime(child);
  while (readdirSync(join(store, 'tmp')).length < 2 && child.exitCode === null) await sleep(10);
  await sleep(60); // the worker threads come up
  const tracer = spawn('strace', ['-f', '-y', '-o', log, ...injection(fault), '-p', String(child.pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const attached = new Promise<void>((resolve) => tracer.stderr.once('data', () => resolve()));
  const left = new Promise<void>((resolve) => tracer.once('exit', () => resolve()));
  await Promise.race([attached, left]);
  await sleep(20);
  child.stdin?.end(archive);
  const code = await exited;
  await left;
  return { code, stderr, injected: injectedLines(log) };
}

/** Nothing of ours takes this long. */
const patienceMs = 120_000;

/**
 * The exit code; none of a command that had to be killed. When a call of Node's own fails (its pipe for signals), or one of
 * a library's at its exit (fsync(2) of stderr), they may wait for ever.
 */
async function endedInTime(child: ChildProcess): Promise<number | null> {
  const timer = setTimeout(() => killGroup(child), patienceMs);
  try {
    return await ended(child);
  } finally {
    clearTimeout(timer);
  }
}

/** The command under strace, which writes to `log`. */
function traced(log: string, options: readonly string[], args: readonly string[]): string[] {
  return ['strace', '-f', '--seccomp-bpf', '-y', '-qq', '-o', log, ...options, cellarProgram, ...args];
}

function injectedLines(log: string): string[] {
  const lines = readFileSync(log, 'latin1').split('\n');
  rmSync(log);
  return lines.filter((line) => line.includes('(INJECTED)'));
}

/** Runs the command unharmed and tells, for each call, which of a thread's calls concern what lies below `within`. */
export async function learn(
  args: readonly string[],
  store: string,
  within = store,
): Promise<Map<string, number[]>> {
  return await learnCalls(args, { store, within, calls: Object.keys(writeCalls) });
}

/** As {@link learn}, of these calls; a mount concerns us wherever it is. */
export async function learnCalls(
  args: readonly string[],
  {
    store,
    within,
    calls,
  }: { readonly store: string; readonly within: string; readonly calls: readonly string[] },
): Promise<Map<string, number[]>> {
  const log = `${store}.strace`;
  const done = await run(traced(log, ['-e', `trace=${calls.join(',')}`], args), {
    env: { CELLAR_STORE: store },
  });
  if (done.code !== 0) throw new Error(`cellar ${args.join(' ')}: exit ${done.code}\n${done.stderr}`);
  const counts = new Map<string, number>();
  const found = new Map<string, Set<number>>();
  for (const line of readFileSync(log, 'latin1').split('\n')) {
    const [, thread, call] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (thread === undefined || call === undefined) continue;
    const index = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, index);
    if (!line.includes(within) && !isMount(call)) continue;
    found.set(call, (found.get(call) ?? new Set()).add(index));
  }
  rmSync(log);
  return new Map([...found].map(([call, indexes]) => [call, [...indexes].sort((a, b) => a - b)]));
}

export function isMount(call: string): boolean {
  return /^(fsopen|fsconfig|open_tree)$|mount/.test(call);
}

/** The calls that were learned, each with one of its errors; in turn through the calls, so that a short run meets each of them. */
export function faultsAt(places: ReadonlyMap<string, readonly number[]>): Fault[] {
  return [...places]
    .flatMap(([call, indexes]) =>
      shuffled(indexes).map((when, turn) => {
        const errors = (writeCalls[call] ?? switchCalls[call]) as readonly string[];
        return { turn, fault: { call, when, error: errors[turn % errors.length] as string } };
      }),
    )
    .sort((a, b) => a.turn - b.turn)
    .map(({ fault }) => fault);
}

/** In an order that `CELLAR_SEED` chooses. */
export function shuffled<T>(items: readonly T[]): T[] {
  const random = generator(Number(process.env['CELLAR_SEED'] ?? 7));
  return items
    .map((item) => ({ item, key: random() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}
