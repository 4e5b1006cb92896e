/**
 * One command at a time at a target, and none beside what a killed one has left running: a handler outlives a process
 * that is killed alone, by the kernel for want of memory for instance, and would still tell services of another version
 * while the next command's handlers tell them of theirs.
 */
import { readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { CellarError } from '../../core/errors.ts';
import { enterFlight } from '../../store/single-flight.ts';
import type { Store } from '../../store/store.ts';
import { isSystemCall } from '../../sys/errno.ts';
import type { Context } from '../context.ts';

export interface TargetFlight extends Disposable {
  /** A handler runs as this process; none where it has ended. */
  child(pid: number | undefined): void;
}

const pauseMs = 100;

/** @throws E_CANCELLED */
export async function enterTarget(context: Context, store: Store, name: string): Promise<TargetFlight> {
  const flight = await enterFlight(store.root, `deploy ${name}`, context);
  try {
    const left = flight.left();
    if (left !== '') await untilEnded(left, name, context);
    if (left !== '') flight.leave('');
  } catch (error) {
    flight[Symbol.dispose]();
    throw error;
  }
  return {
    child(pid) {
      try {
        flight.leave((pid === undefined ? undefined : identityOf(pid)) ?? '');
      } catch (error) {
        // On a full disk the handler runs all the same: only that it outlives us would not be known.
        if (!isSystemCall(error)) throw error;
      }
    },
    [Symbol.dispose]: () => flight[Symbol.dispose](),
  };
}

async function untilEnded(left: string, name: string, { signal, events }: Context): Promise<void> {
  const pid = Number(left.split(' ')[0]);
  const runs = (): boolean => identityOf(pid) === left;
  if (runs())
    events({
      type: 'note',
      text: `waiting for a command of a deployment to ${name} that was killed: process ${pid}`,
    });
  while (runs()) {
    await setTimeout(pauseMs);
    if (signal.aborted) throw new CellarError('E_CANCELLED');
  }
}

/** A process by its number and the moment of its start; `undefined` for one that has ended. Source: proc_pid_stat(5). */
function identityOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : `${pid} ${fields[18]}`;
  } catch {
    return undefined;
  }
}
