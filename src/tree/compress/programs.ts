/** Formats that Node has no codec for go through the well-known programs, as filters in child processes. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { CellarError } from '../../core/errors.ts';

export interface Filter {
  readonly program: string;
  readonly args: readonly string[];
  /** Debian package that brings the program. */
  readonly package: string;
  /** For messages. */
  readonly source: string;
  readonly signal: AbortSignal;
}

/**
 * What the program makes of `input`. It is killed when the consumer stops or the signal fires.
 * @throws E_DECOMPRESSOR when it is not installed, E_CANCELLED, E_ARCHIVE_TRUNCATED and E_ARCHIVE_CORRUPT by what
 * it says, and what reading the input throws
 */
export async function* filterThrough(
  input: AsyncIterable<Uint8Array>,
  filter: Filter,
): AsyncGenerator<Uint8Array> {
  const child = spawn(filter.program, filter.args, { stdio: 'pipe' });
  const kill = (): void => void child.kill('SIGKILL');
  filter.signal.addEventListener('abort', kill, { once: true });
  let said = '';
  child.stderr.on('data', (text: Buffer) => (said = (said + text.toString()).slice(-2000)));
  const exit = new Promise<{ code: number | null; failure?: NodeJS.ErrnoException }>((resolve) => {
    child.on('error', (failure: NodeJS.ErrnoException) => resolve({ code: null, failure }));
    child.on('close', (code) => resolve({ code }));
  });
  const feeding = feed(child, input);
  try {
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const { code, failure } = await exit;
    const inputFailure = await feeding;
    if (filter.signal.aborted) throw new CellarError('E_CANCELLED');
    if (failure?.code === 'ENOENT') {
      const { source, program } = filter;
      throw new CellarError('E_DECOMPRESSOR', { details: { source, program, package: filter.package } });
    }
    if (inputFailure !== undefined) throw inputFailure;
    if (code !== 0) throw complaint(filter, said);
  } finally {
    filter.signal.removeEventListener('abort', kill);
    kill();
  }
}

/** Writes with back-pressure; resolves to what reading the input threw. A broken pipe is the program's affair. */
async function feed(
  child: ChildProcessWithoutNullStreams,
  input: AsyncIterable<Uint8Array>,
): Promise<unknown> {
  let broken = false;
  let wake = (): void => undefined;
  child.stdin.on('error', () => {
    broken = true;
    wake();
  });
  child.stdin.on('drain', () => wake());
  child.stdin.on('close', () => wake());
  try {
    for await (const chunk of input) {
      if (broken || child.stdin.destroyed) return undefined;
      // The chunk's memory may be used again once the next one is asked for.
      if (!child.stdin.write(Buffer.from(chunk)) && !broken)
        await new Promise<void>((resolve) => (wake = resolve));
    }
    child.stdin.end();
    return undefined;
  } catch (error) {
    child.kill('SIGKILL');
    return error;
  }
}

function complaint({ source, program }: Filter, said: string): CellarError {
  const problem = said.trim().split('\n').at(-1) ?? `${program} failed`;
  const isTruncated = /unexpected end|ends? unexpectedly|truncated|premature|read error|incomplete/i.test(
    said,
  );
  return new CellarError(isTruncated ? 'E_ARCHIVE_TRUNCATED' : 'E_ARCHIVE_CORRUPT', {
    details: { source, offset: 0, problem },
  });
}
