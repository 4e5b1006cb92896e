/** What the engine writes down of a target's versions, each before the step it tells of or right after it. */
import { CellarError } from '../core/errors.ts';
import { deploymentsOf, planDeployment, planForgotten, type DeploymentRow } from '../store/deployments.ts';
import type { Store } from '../store/store.ts';
import { withoutDoubt } from './owed-handlers.ts';
import type { Target, TargetState } from './port.ts';

/** In service at the target. */
export function activeRow(store: Store, target: string): DeploymentRow | undefined {
  return deploymentsOf(store, target).find(({ state }) => state === 'active');
}

/** The row as it is on record, if that version had been in service before. */
export function provenRow(store: Store, { target, version }: DeploymentRow): DeploymentRow | undefined {
  return deploymentsOf(store, target).find((row) => row.version === version && row.activated !== undefined);
}

/** The switch has happened: one row is active and no other is. What was to be put back by it has failed. */
export function settleActive(store: Store, row: DeploymentRow): DeploymentRow {
  const active: DeploymentRow = { ...row, state: 'active', activated: Date.now() };
  store.rows.update(() => ({
    changes: [
      ...deploymentsOf(store, row.target)
        .filter(({ state, version }) => state === 'active' && version !== row.version)
        .map((other) => planDeployment(replaced(other))),
      planDeployment(active),
    ],
    result: undefined,
  }));
  return active;
}

function replaced(row: DeploymentRow): DeploymentRow {
  const isLost = row.problem !== undefined && row.handlers.ifRefused !== 'keep';
  return isLost ? { ...row, state: 'failed' } : { ...withoutDoubt(row), state: 'retired' };
}

/**
 * What is in service was deployed from another store, which goes on listing it.
 * @throws E_TARGET_FOREIGN
 */
export function refuseOfAnotherStore(store: Store, target: Target, state: TargetState): void {
  if (!isOfAnotherStore(store, target, state)) return;
  throw new CellarError('E_TARGET_FOREIGN', {
    details: { path: target.path ?? target.name, found: 'a version' },
    hint: `it was deployed from another store: name that with --store, or take the place over with 'cellar deploy --force'`,
  });
}

export function isOfAnotherStore(store: Store, { name }: Target, { active }: TargetState): boolean {
  return active !== undefined && !deploymentsOf(store, name).some(({ id }) => id === active);
}

/** Number of the next version of a target. */
export function nextVersion(store: Store, target: string): number {
  return (deploymentsOf(store, target).at(-1)?.version ?? 0) + 1;
}

export function putRow(store: Store, row: DeploymentRow): void {
  store.rows.write([planDeployment(row)]);
}

export function forgetRow(store: Store, row: DeploymentRow): void {
  store.rows.write([planForgotten(row)]);
}
