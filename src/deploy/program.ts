/** Programs that targets need: their absence is told with the package that brings them, their failure in their words. */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { CellarError } from '../core/errors.ts';
import { childProcess } from '../sys/child-process.ts';
import { drained } from '../sys/drained.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';

export interface Program {
  readonly program: string;
  /** Debian package that brings it. */
  readonly package: string;
  /** Completes "the program … is needed: ". */
  readonly why: string;
  /** What is being made, for messages. */
  readonly subject: string;
  readonly signal: AbortSignal;
  readonly env?: Readonly<Record<string, string>>;
  /** Bytes for its standard input; a chunk is taken before the next is asked for. */
  readonly input?: AsyncIterable<Buffer>;
}

/** What is shown of what a failed program said. */
const shownBytes = 2000;

/**
 * Run a program to its end.
 * @returns what it printed
 * @throws E_MISSING_TOOL, E_IO with what it said, E_CANCELLED, and what `input` throws
 */
export async function runProgram(args: readonly string[], options: Program): Promise<string> {
  const { program, signal, subject, input } = options;
  if (signal.aborted) throw new CellarError('E_CANCELLED');
  const child = childProcess().spawn(program, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C', ...options.env },
  });
  const kill = (): void => void child.kill('SIGKILL');
  signal.addEventListener('abort', kill, { once: true });
  let printed = '';
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-shownBytes)));
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'close').then(
    ([code, by]: unknown[]) => ({ code: code as number | null, by: by as string | null }),
    (failure: unknown) => ({ failure }),
  );
  try {
    if (input === undefined) child.stdin.end();
    else await feed(child.stdin, input);
    const end = await ended;
    if (signal.aborted) throw new CellarError('E_CANCELLED');
    if ('failure' in end) throw notStarted(options, end.failure);
    if (end.code === 0) return printed;
    const problem = said.trim() || printed.trim().slice(-shownBytes);
    throw new CellarError('E_IO', {
      details: { doing: program, path: subject, problem: problem || `it ended with ${end.code ?? end.by}` },
    });
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await ended;
  }
}

/** Returns when all is written, or the program takes no more. */
async function feed(stdin: Writable, input: AsyncIterable<Buffer>): Promise<void> {
  for await (const chunk of input) {
    if (!stdin.writable) return;
    // The chunk's memory is used again once the next one is asked for. A broken pipe is the program's affair.
    if (!stdin.write(Buffer.from(chunk))) await drained(stdin).catch(() => undefined);
  }
  stdin.end();
}

function notStarted({ program, why, subject, ...rest }: Program, failure: unknown): CellarError {
  if (isErrno(failure, 'ENOENT', 'EACCES'))
    return new CellarError('E_MISSING_TOOL', {
      details: { program, why, package: rest.package },
      cause: failure,
    });
  return toCellarError(failure, { doing: `starting ${program}`, path: subject });
}
