/**
 * What a version owes: commands that a switch, or a crash in the middle of one, has left to be run. All of it is on the
 * row, so whoever comes next can pay it.
 */
import type { DeploymentRow, Handlers } from '../../store/deployments.ts';

/** Are commands of the switch that put it in service still to be run? */
export function owesHandlers({ handlers }: Pick<DeploymentRow, 'handlers'>): boolean {
  return handlers.state === 'pending' || handlers.stopped === true;
}

/** Handlers of a version that is about to be switched to: all of them are owed. */
export function owed({ stopped: _stopped, ifRefused: _ifRefused, ...handlers }: Handlers): Handlers {
  const has = handlers.onChange !== undefined || handlers.check !== undefined;
  return { ...handlers, state: has ? 'pending' : 'none' };
}

interface Stops {
  readonly stop?: string | undefined;
  readonly start?: string | undefined;
  readonly stopped?: true | undefined;
}

/** A start that a crash kept the version before from is owed by its successor. */
export function inherit(own: Handlers, before: Handlers | undefined): Handlers {
  return before?.stopped === true ? withStops(own, { ...before, ...own, stopped: true }) : own;
}

/** With the commands around a switch that another row, or a user, names. */
export function withStops(own: Handlers, { stop, start, stopped }: Stops): Handlers {
  return {
    ...own,
    ...(stop === undefined ? {} : { stop }),
    ...(start === undefined ? {} : { start }),
    ...(stopped === undefined ? {} : { stopped }),
  };
}

/** Accepted: whatever comes now, it stays in service. */
export function withoutDoubt({ problem: _problem, ...row }: DeploymentRow): DeploymentRow {
  const { ifRefused: _ifRefused, ...handlers } = row.handlers;
  return { ...row, handlers };
}
