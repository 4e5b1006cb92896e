/**
 * What runs on a target is stopped before the switch and started again after it, whichever version is in service then.
 * That a start is owed is on record before the stop, so a crash between the two leaves nothing stopped for good.
 */
import { setTimeout } from 'node:timers/promises';
import { CellarError } from '../../core/errors.ts';
import type { DeploymentRow } from '../../store/deployments.ts';
import { runHandler } from './handlers.ts';
import type { Target, TargetState, Workbench } from '../port.ts';

export interface Stopping {
  readonly target: Target;
  readonly bench: Workbench;
  /** How long a machine may take to go down after its stop command has returned, in milliseconds. */
  readonly patienceMs?: number | undefined;
  readonly record: (row: DeploymentRow) => void;
}

const usualPatienceMs = 60_000;

/** @throws E_TARGET_IN_USE when something runs there and the commands to stop and start it are not known */
export function refuseInUse(
  { name }: Target,
  { users }: TargetState,
  { stop, start }: { readonly stop?: string | undefined; readonly start?: string | undefined },
): void {
  if (users.length === 0 || (stop !== undefined && start !== undefined)) return;
  throw new CellarError('E_TARGET_IN_USE', { details: { target: name, users: users.join(', ') } });
}

/** Stop what runs there, if anything does. @returns the row, which owes a start then @throws E_DEPLOY_HANDLER, E_TARGET_IN_USE */
export async function stopUsers(row: DeploymentRow, stopping: Stopping): Promise<DeploymentRow> {
  const { target, bench } = stopping;
  const { stop } = row.handlers;
  if (stop === undefined) return row;
  if (target.seesUsers === true && (await target.look()).users.length === 0) return row;
  const owing: DeploymentRow = { ...row, handlers: { ...row.handlers, stopped: true } };
  stopping.record(owing);
  await runHandler(row, { name: 'stop', command: stop }, { ...bench, path: target.path });
  if (target.seesUsers === true) await untilGone(stopping);
  return owing;
}

/** Pay what {@link stopUsers} owes. Who was started by other hands meanwhile is left alone. @throws E_DEPLOY_HANDLER */
export async function startUsers(row: DeploymentRow, stopping: Stopping): Promise<DeploymentRow> {
  const { target, bench, record } = stopping;
  const { stopped, ...handlers } = row.handlers;
  if (stopped !== true) return row;
  const isUp = target.seesUsers === true && (await target.look()).users.length > 0;
  if (!isUp && handlers.start !== undefined)
    await runHandler(row, { name: 'start', command: handlers.start }, { ...bench, path: target.path });
  const done: DeploymentRow = { ...row, handlers };
  record(done);
  return done;
}

/** `machinectl poweroff` returns long before the machine is down. */
async function untilGone({ target, bench, patienceMs = usualPatienceMs }: Stopping): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const { users } = await target.look();
    if (users.length === 0) return;
    if (performance.now() > deadline)
      throw new CellarError('E_TARGET_IN_USE', {
        details: { target: target.name, users: users.join(', ') },
        hint: 'the stop command ended, and it is still running',
      });
    await setTimeout(100);
    if (bench.signal.aborted) throw new CellarError('E_CANCELLED');
  }
}
