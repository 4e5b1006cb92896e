/** What the engine writes down of a target's versions, each before the step it tells of or right after it. */
import { statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { CellarError } from '../../core/errors.ts';
import {
  deploymentsOf,
  listDeployments,
  planDeployment,
  planForgotten,
  type DeploymentRow,
} from '../../store/deployments.ts';
import type { Store } from '../../store/store.ts';
import { withoutDoubt } from './owed-handlers.ts';
import type { Target, TargetState } from '../port.ts';

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

/** What lies there is not ours, and may not or cannot be set aside. @throws E_TARGET_FOREIGN */
export function refuseForeign(
  { name, path }: Target,
  { foreign, fixed }: TargetState,
  { force = false }: { readonly force?: boolean | undefined } = {},
): void {
  if (foreign === undefined || (force && fixed !== true)) return;
  throw new CellarError('E_TARGET_FOREIGN', {
    details: { path: path ?? name, found: foreign },
    ...(fixed === true ? { hint: 'it cannot be set aside: unmount it, or deploy to a path below it' } : {}),
  });
}

/**
 * What is in service was deployed from another store, which goes on listing it, or from this one under another name.
 * @throws E_TARGET_FOREIGN
 */
export function refuseOfAnotherStore(store: Store | undefined, target: Target, state: TargetState): void {
  if (!isOfAnotherStore(store, target, state)) return;
  throw new CellarError('E_TARGET_FOREIGN', {
    details: { path: target.path ?? target.name, found: 'a version' },
    hint:
      aliasOf(store, target, state) ??
      `it was deployed from another store: name that with --store, or take the place over with 'cellar deploy --force'`,
  });
}

/** A hint for a place in which something is in service that is on record under another name. */
export function aliasOf(
  store: Store | undefined,
  target: Target,
  { active }: TargetState,
): string | undefined {
  if (store === undefined || active === undefined) return undefined;
  const row = listDeployments(store).find(
    ({ id, target: other }) => id === active && isSamePlace(target, other),
  );
  return row === undefined
    ? undefined
    : `it was deployed as ${row.target}, which leads there, too: use that name`;
}

/** Through symlinks a place has more than one name. */
function isSamePlace({ name, path }: Target, other: string): boolean {
  const kind = name.slice(0, name.indexOf(':') + 1);
  if (path === undefined || !other.startsWith(`${kind}/`)) return false;
  const [one, two] = [path, other.slice(kind.length)].map((text) =>
    statSync(dirname(text), { bigint: true, throwIfNoEntry: false }),
  );
  return (
    one !== undefined && one.ino === two?.ino && one.dev === two.dev && basename(path) === basename(other)
  );
}

export function isOfAnotherStore(
  store: Store | undefined,
  { name }: Target,
  { active }: TargetState,
): boolean {
  return (
    active !== undefined &&
    !(store === undefined ? [] : deploymentsOf(store, name)).some(({ id }) => id === active)
  );
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
