/** Runs the commands of a preparation one by one, keeps what they say, and ends them when their time is up. */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { toText, type ByteString } from '../core/bytes.ts';
import { formatDuration, timerOf } from '../core/quantity.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { redact } from '../core/redact.ts';
import { toCellarError } from '../sys/errno.ts';
import { writeFully } from '../sys/write-fully.ts';
import { placeTransient, type TransientFile } from './transient.ts';
import { runInSandbox } from './sandbox.ts';

export interface RunnerOptions {
  readonly root: ByteString;
  /** File that gets all output, written anew. */
  readonly log: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly network: boolean;
  /** Milliseconds for all commands together; 0 is for ever. */
  readonly timeout: number;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

export interface Runner extends Disposable {
  /** In the tree. `step` names it in messages. @throws E_BUILD_COMMAND, E_BUILD_TIMEOUT, E_CANCELLED, E_NOT_ALLOWED, E_NO_SPACE */
  inside(step: string, command: readonly string[]): Promise<void>;
  /** On this machine, with `$ROOT` for the tree. @throws as `inside` */
  outside(step: string, command: readonly string[], directory: string): Promise<void>;
}

export const defaultTimeout = 20 * 60_000;

/** What is kept of what a command says, and shown when it fails. */
const shownBytes = 4096;
const shownLines = 20;

export function openRunner(options: RunnerOptions): Runner {
  const { root, log, environment, network, timeout, events } = options;
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const fd = openSync(log, 'w', 0o600);
  const late = AbortSignal.timeout(timerOf(timeout));
  const signal = AbortSignal.any([options.signal, late]);
  const writeLog = (bytes: Buffer): void => {
    try {
      writeFully(fd, bytes);
    } catch (error) {
      throw toCellarError(error, { doing: 'writing the log of a build', path: log });
    }
  };
  const run = async (
    step: string,
    request: Pick<Parameters<typeof runInSandbox>[0], 'root' | 'command' | 'directory' | 'environment'>,
  ): Promise<void> => {
    const command = shown(request.command);
    events({ type: 'note', text: `${step}: ${command}` });
    writeLog(Buffer.from(`+ ${command}\n`));
    let tail = '';
    const output = (chunk: Buffer): void => {
      writeLog(chunk);
      tail = (tail + chunk.toString('latin1')).slice(-shownBytes);
    };
    const details = (): Record<string, string> => {
      const said = toLines(tail);
      const text = ['the last it said:', ...said.slice(-shownLines)].join('\n  ');
      if (said.length > 0) events({ type: 'warning', code: 'W_BUILD_OUTPUT', text });
      return { step, command, output: said.join('\n'), log };
    };
    try {
      const code = await runInSandbox({ ...request, network, output, signal });
      if (code !== 0) throw new CellarError('E_BUILD_COMMAND', { details: { ...details(), code } });
    } catch (error) {
      if (!isCellarError(error, 'E_CANCELLED') || options.signal.aborted || !late.aborted) throw error;
      throw new CellarError('E_BUILD_TIMEOUT', {
        details: { ...details(), limit: formatDuration(timeout / 1000) },
        cause: error,
      });
    }
  };
  return {
    async inside(step, command) {
      using _transient = placeTransient(root, transientFor(network));
      await run(step, { root, command, environment });
    },
    async outside(step, command, directory) {
      await run(step, {
        root: undefined,
        command,
        directory,
        environment: { ...environment, ROOT: toText(root) },
      });
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** Of this process's environment only what leads to the network. */
export function commandEnvironment(
  own: Readonly<Record<string, string>>,
  { clock }: { clock?: number | undefined } = {},
): Record<string, string> {
  const proxies = Object.entries(process.env).filter(
    (pair): pair is [string, string] =>
      /^(?:https?|ftp|all|no)_proxy$/i.test(pair[0]) && pair[1] !== undefined,
  );
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME: '/root',
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    DEBIAN_FRONTEND: 'noninteractive',
    ...Object.fromEntries(proxies),
    ...(clock === undefined ? {} : { SOURCE_DATE_EPOCH: String(clock) }),
    ...own,
  };
}

/** No service is to start in a tree (policy-rc.d, Debian policy 9.3.3), and names are looked up as on this machine. */
function transientFor(network: boolean): TransientFile[] {
  const policy = {
    path: '/usr/sbin/policy-rc.d',
    content: '#!/bin/sh\nexit 101\n',
    mode: 0o755,
    replace: false,
  };
  if (!network) return [policy];
  return [policy, { path: '/etc/resolv.conf', content: resolver(), mode: 0o644, replace: true }];
}

function resolver(): Buffer {
  try {
    return readFileSync('/etc/resolv.conf');
  } catch {
    return Buffer.alloc(0);
  }
}

/** `sh -ec TEXT` as its text. */
function shown(command: readonly string[]): string {
  const [program, option, script] = command;
  const text = program === '/bin/sh' && option === '-ec' ? script! : command.join(' ');
  return redact(text.trim());
}

function toLines(tail: string): string[] {
  return tail
    .trim()
    .split(/\r?\n/)
    .filter((line) => line !== '')
    .map((line) => redact(toText(line)));
}
