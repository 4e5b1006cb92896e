/** `cellar undeploy`: a target out of service, as it was before the first deployment, and nothing of ours left there. */
import { dirname } from 'node:path';
import { toText } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { aliasOf, isOfAnotherStore } from '../deploy/engine/deployment-rows.ts';
import { discardVersion, doomed } from '../deploy/engine/discard.ts';
import { recover } from '../deploy/engine.ts';
import type { Target, TargetState } from '../deploy/port.ts';
import { openTarget } from '../deploy/targets.ts';
import { listCheckouts } from '../store/checkouts.ts';
import { seenBy } from '../store/checkout-mounts.ts';
import { deploymentsOf, planDeployment, planForgotten, type DeploymentRow } from '../store/deployments.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { openWorkbench } from './deploy/workbench.ts';
import type { Context } from './context.ts';
import { enterTarget } from './deploy/flight.ts';

export interface UndeployOptions {
  readonly target: string;
  /** Also when something runs on it. */
  readonly force?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface UndeployResult {
  readonly target: string;
  /** Versions that were removed, or would be. */
  readonly removed: readonly number[];
  /** Versions whose files are still in use: repeat the command later. */
  readonly left: readonly number[];
  /** Who sees their mounts, in mount namespaces of their own: `podman (4711)`. */
  readonly seenBy?: readonly string[];
  readonly dryRun: boolean;
}

/** @throws E_DEPLOYMENT_NOT_FOUND, E_TARGET_IN_USE */
export async function undeploy(context: Context, options: UndeployOptions): Promise<UndeployResult> {
  const target = await openTarget(options.target, { force: options.force ?? false });
  using store = openStore(context.storeRoot);
  requireWritable(store);
  using flight = await enterTarget(context, store, target.name);
  await using bench = openWorkbench(context, store, flight);
  const dryRun = options.dryRun === true;
  if (!dryRun) await recover({ store, target, bench });
  const rows = deploymentsOf(store, target.name);
  const state = await target.look(context.signal);
  if (rows.length === 0) throw notFound(store, target, state);
  const { users } = state;
  const isOthers = isOfAnotherStore(store, target, state);
  if (users.length > 0 && options.force !== true)
    throw new CellarError('E_TARGET_IN_USE', {
      details: { target: target.name, users: users.join(', ') },
      hint: 'stop it first; --force takes away what it runs on',
    });
  if (dryRun) return { target: target.name, removed: rows.map(({ version }) => version), left: [], dryRun };
  const takenAway = rows.map((row) => planDeployment(doomed(row)));
  try {
    if (!isOthers) await target.deactivate(bench);
    store.rows.write(takenAway);
  } catch (error) {
    // It may have failed after its step: what is out of service must not be listed as in service.
    if ((await target.look()).active === undefined) store.rows.write(takenAway);
    throw error;
  }
  const [left, gone]: [number[], DeploymentRow[]] = [[], []];
  for (const row of rows) {
    const discarded = await discardVersion({ target, bench }, row);
    if (discarded === 'gone') gone.push(row);
    if (discarded === 'used') store.rows.write([planDeployment({ ...row, state: 'retired' })]);
    if (discarded !== 'gone') left.push(row.version);
  }
  if (left.length === 0 && !isOthers) await target.deactivate(bench);
  // Last, so that whatever failed before can be done again.
  if (gone.length > 0) store.rows.write(gone.map(planForgotten));
  const removed = rows.map(({ version }) => version).filter((version) => !left.includes(version));
  const seen = left.length === 0 ? {} : { seenBy: viewers(store, target.path) };
  return { target: target.name, removed, left, ...seen, dryRun };
}

/** Also what comes of repeating a command that failed after it had done all its work. */
function notFound(store: Store, target: Target, state: TargetState): CellarError {
  const { active, foreign } = state;
  const isEmpty = active === undefined && foreign === undefined;
  const hint =
    aliasOf(store, target, state) ??
    (isEmpty
      ? "nothing of a deployment is left there; 'cellar deployments' lists what is deployed"
      : undefined);
  return new CellarError('E_DEPLOYMENT_NOT_FOUND', {
    details: { target: target.name, wanted: 'deployment', store: store.root },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Versions lie beside the place where they are in service. */
function viewers(store: Store, place: string | undefined): readonly string[] {
  if (place === undefined) return [];
  const beside = `${dirname(place)}/`;
  const leaving = listCheckouts(store).filter(
    ({ releasing, path }) => releasing === true && toText(path).startsWith(beside),
  );
  return [...new Set(leaving.flatMap(seenBy))];
}
