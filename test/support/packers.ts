/** The usual packing programs, run by themselves: what they write must be read, and what is written they must read. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

export const packers = ['gzip', 'zstd', 'xz', 'bzip2', 'lz4'] as const;
export type Packer = (typeof packers)[number];

/** For a test's `skip`: false where the program is there, else why the test cannot run. */
export function skipWithout(program: string): string | false {
  return spawnSync(program, ['--version'], { stdio: 'ignore' }).error === undefined
    ? false
    : `the program ${program} is not installed`;
}

/** Packing the same buffer again costs nothing: xz needs a second for a few megabytes. */
export function packWith(program: Packer, input: Uint8Array, args: readonly string[] = []): Buffer {
  const known = packed.get(input) ?? new Map<string, Buffer>();
  packed.set(input, known);
  const command = [program, '-c', ...args].join(' ');
  const bytes = known.get(command) ?? run(program, ['-c', ...args], input);
  known.set(command, bytes);
  return Buffer.from(bytes);
}

const packed = new WeakMap<Uint8Array, Map<string, Buffer>>();

export function unpackWith(program: Packer, input: Uint8Array): Buffer {
  return run(program, ['-dc'], input);
}

function run(program: string, args: readonly string[], input: Uint8Array): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 1 << 30 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr?.toString()}`, { cause: error });
  return stdout;
}

/** `bytes` in chunks of `size`, each a copy. */
export async function* inPieces(bytes: Uint8Array, size = Infinity): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield Buffer.from(bytes.subarray(at, at + size));
}

export async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(Buffer.from(chunk));
  return Buffer.concat(all);
}

/** Process ids of this process's children, zombies too. */
export function childProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === process.pid)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in parentheses and may hold anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined; // it has gone since
  }
}

/** Repeatable bytes, part text that packs well and part noise that does not. */
export function sampleBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = (at >> 12) % 2 === 0 ? 97 + ((state >>> 16) % 4) : state >>> 24;
  }
  return bytes;
}
