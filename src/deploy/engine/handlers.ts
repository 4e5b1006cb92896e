/**
 * Commands around a switch: `--stop` and `--start` what runs there, `--on-change` tells services, `--check` judges the
 * result. They run in a shell with the deployment in their environment; what they print is shown when they fail, and
 * never recorded.
 */
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import { CellarError } from '../../core/errors.ts';
import { redact } from '../../core/redact.ts';
import { childProcess } from '../../sys/child-process.ts';
import type { DeploymentRow } from '../../store/deployments.ts';
import type { Workbench } from '../port.ts';

/** How long after a command that a signal ended the same signal may come to us. */
const ownSignalMs = 100;

/** What is shown of a failed command: its last lines. */
const shownBytes = 4096;

export interface HandlerContext extends Pick<Workbench, 'signal' | 'events' | 'child'> {
  readonly path: string | undefined;
}

/** @throws E_DEPLOY_HANDLER, E_CANCELLED */
export async function runHandlers(row: DeploymentRow, context: HandlerContext): Promise<void> {
  const { onChange, check } = row.handlers;
  if (onChange !== undefined) await runHandler(row, { name: 'on-change', command: onChange }, context);
  if (check !== undefined) await runHandler(row, { name: 'check', command: check }, context);
}

/** @throws E_DEPLOY_HANDLER, E_CANCELLED */
export async function runHandler(
  row: DeploymentRow,
  { name, command }: { name: 'on-change' | 'check' | 'stop' | 'start'; command: string },
  { path, events, ...running }: HandlerContext,
): Promise<void> {
  events({ type: 'note', text: `running ${name}: ${redact(command)}` });
  const { code, tail } = await runShell(command, environment(row, path), running);
  if (code !== 0)
    throw new CellarError('E_DEPLOY_HANDLER', {
      details: { target: row.target, version: row.version, handler: name, code, output: tail },
      ...(row.previous === undefined
        ? { hint: 'nothing was in service there before, and nothing is now' }
        : {}),
    });
}

function environment(row: DeploymentRow, path: string | undefined): NodeJS.ProcessEnv {
  return {
    ...process.env,
    CELLAR_TARGET: row.target,
    CELLAR_PATH: path ?? '',
    CELLAR_REFERENCE: row.reference,
    CELLAR_VERSION: String(row.version),
    CELLAR_PREVIOUS: row.previous === undefined ? '' : String(row.previous),
    CELLAR_IMAGE: row.image,
  };
}

async function runShell(
  command: string,
  env: NodeJS.ProcessEnv,
  { signal, child: tell }: Pick<HandlerContext, 'signal' | 'child'>,
): Promise<{ code: number; tail: string }> {
  const child = childProcess().spawn('sh', ['-c', command], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  });
  tell?.(child.pid);
  let tail = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-shownBytes);
    });
  try {
    const [code, by] = (await once(child, 'close')) as [number | null, string | null];
    // Ctrl-C and a closed terminal end the command as well as us, in either order.
    tell?.(undefined);
    if (by !== null) await setTimeout(ownSignalMs, undefined, { signal });
    return { code: code ?? 128, tail: tail.trim() || (by === null ? 'it said nothing' : `ended by ${by}`) };
  } catch (error) {
    if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: error });
    throw error;
  }
}
