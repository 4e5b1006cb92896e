/** Formats that Node has no codec for go through the well-known programs, as filters in child processes. */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { CellarError } from '../../core/errors.ts';
import { childProcess } from '../../sys/child-process.ts';
import { drained } from '../../sys/drained.ts';
import { toCellarError } from '../../sys/errno.ts';

export interface Filter {
  readonly program: string;
  readonly args: readonly string[];
  /** Debian package that brings the program. */
  readonly package: string;
  readonly doing: 'packing' | 'unpacking';
  /** For messages. */
  readonly source: string;
  readonly signal: AbortSignal;
}

interface Exit {
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly failure?: NodeJS.ErrnoException;
}

/** What the feeding has come to. */
interface Fed {
  bytes: number;
  isWhole: boolean;
  failure?: { readonly error: unknown };
}

/**
 * What the program makes of `input`. It is killed when the consumer stops or the signal fires, and gone when the
 * generator ends.
 * @throws E_DECOMPRESSOR when it is not installed, E_CANCELLED, E_ARCHIVE_TRUNCATED and E_ARCHIVE_CORRUPT by what
 * it says, E_IO when something else ends it, and what reading the input throws
 */
export async function* filterThrough(
  input: AsyncIterable<Uint8Array>,
  filter: Filter,
): AsyncGenerator<Uint8Array> {
  const { program, args, signal } = filter;
  if (signal.aborted) throw new CellarError('E_CANCELLED');
  // Its messages are read, and options in variables of its own (XZ_OPT, BZIP2) would change what it does.
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const child = childProcess().spawn(program, args, { stdio: 'pipe', env });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
  const exit = new Promise<Exit>((resolve) => {
    child.on('error', (failure) => resolve({ code: null, killedBy: null, failure }));
    child.on('close', (code, killedBy) => resolve({ code, killedBy }));
  });
  const fed: Fed = { bytes: 0, isWhole: false };
  void feed(child, input, fed);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const { code, killedBy, failure } = await exit;
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if (failure !== undefined) throw notStarted(filter, failure);
    if (fed.failure !== undefined) throw fed.failure.error;
    if (killedBy !== null) throw broken(filter, `${program} was ended by ${killedBy}`);
    const status = code ?? 0;
    // bzip2 leaves what follows its data unread, and only warns of it.
    if (status !== 0 || !fed.isWhole || /trailing garbage/.test(said))
      throw complaint(filter, { said, status, offset: fed.bytes });
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await exit;
  }
}

/** Writes with back-pressure. A broken pipe is the program's affair. */
async function feed(
  child: ChildProcessWithoutNullStreams,
  input: AsyncIterable<Uint8Array>,
  fed: Fed,
): Promise<void> {
  const { stdin } = child;
  stdin.on('error', () => undefined);
  try {
    for await (const chunk of input) {
      if (!stdin.writable) return;
      fed.bytes += chunk.length;
      // The chunk's memory may be used again once the next one is asked for.
      if (!stdin.write(Buffer.from(chunk))) await drained(stdin).catch(() => undefined);
    }
    fed.isWhole = true;
    stdin.end();
  } catch (error) {
    fed.failure = { error };
    child.kill('SIGKILL');
  }
}

function notStarted(filter: Filter, failure: NodeJS.ErrnoException): CellarError {
  const { program, source } = filter;
  if (failure.code === 'ENOENT' || failure.code === 'EACCES')
    return new CellarError('E_DECOMPRESSOR', { details: { source, program, package: filter.package } });
  return toCellarError(failure, { doing: `starting ${program}`, path: source });
}

function complaint(
  filter: Filter,
  { said, status, offset }: { said: string; status: number; offset: number },
): CellarError {
  const { program, source } = filter;
  const lines = said.split(/[\r\n]+/).map((line) => line.trim());
  const tellsTruncation = (line: string): boolean =>
    /unexpected end|ends unexpectedly|unfinished stream|magic number unreadable|incomplete/i.test(line);
  const problem =
    lines.find(tellsTruncation) ??
    lines.find((line) => line !== '') ??
    `${program} refused it (exit status ${status})`;
  if (filter.doing === 'packing') return broken(filter, problem);
  return new CellarError(tellsTruncation(problem) ? 'E_ARCHIVE_TRUNCATED' : 'E_ARCHIVE_CORRUPT', {
    details: { source, offset, problem },
  });
}

function broken({ doing, source }: Filter, problem: string): CellarError {
  return new CellarError('E_IO', { details: { doing, path: source, problem } });
}
