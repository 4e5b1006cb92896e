/** `cellar rollback`: an earlier version that is still kept goes back in service, by the same switch as a deployment. */
import { CellarError } from '../core/errors.ts';
import { refuseOfAnotherStore } from '../deploy/engine/deployment-rows.ts';
import { fireOwed, foresee, recover, switchTo, type Engine } from '../deploy/engine.ts';
import { requireFiles } from '../deploy/engine/require-files.ts';
import { openTarget } from '../deploy/targets.ts';
import { refuseInUse } from '../deploy/engine/users-stopped.ts';
import { deploymentsOf, type DeploymentRow } from '../store/deployments.ts';
import { openStore, requireWritable, type Store } from '../store/store.ts';
import { openWorkbench } from './deploy/workbench.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { enterTarget } from './deploy/flight.ts';

export interface RollbackOptions {
  readonly target: string;
  /** As `deployments` shows it; else the newest kept one older than what is in service. */
  readonly version?: number | undefined;
  /** Commands around the switch; default: those given with the version in service. */
  readonly stop?: string | undefined;
  readonly start?: string | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface RollbackResult {
  readonly target: string;
  readonly change: 'switched' | 'unchanged';
  readonly version: number;
  readonly previous?: number;
  readonly reference: string;
  readonly image: string;
  readonly elapsedMs: number;
  readonly dryRun: boolean;
}

/** @throws E_DEPLOYMENT_NOT_FOUND, E_DEPLOY_HANDLER, E_TARGET_* */
export async function rollback(context: Context, options: RollbackOptions): Promise<RollbackResult> {
  const started = performance.now();
  const target = await openTarget(options.target, { force: false });
  using store = openStore(context.storeRoot);
  requireWritable(store);
  using flight = await enterTarget(context, store, target.name);
  await using bench = openWorkbench(context, store, flight);
  const engine: Engine = { store, target, bench };
  const dryRun = options.dryRun === true;
  const active = dryRun ? await foresee(engine) : await recover(engine);
  const state = await target.look(context.signal);
  refuseOfAnotherStore(store, target, state);
  const to = choose(store, target.name, active, options.version);
  // What stops the machine now is what was given with the version that runs.
  const { stop = active?.handlers.stop, start = active?.handlers.start } = options;
  const stops = { ...(stop === undefined ? {} : { stop }), ...(start === undefined ? {} : { start }) };
  await requireFiles(engine, to, { dryRun });
  const isActive = to.version === active?.version;
  // What names it may have been removed by hand.
  const isThere = state.active === to.id;
  if (!isActive) {
    const row = { ...to, handlers: { ...to.handlers, ...stops } };
    refuseInUse(target, state, row.handlers);
    if (!dryRun) await switchTo(engine, row);
  } else if (!dryRun) {
    if (!isThere) await target.activate(to.id, bench);
    await fireOwed(engine, to);
  }
  return {
    target: target.name,
    change: isActive && isThere ? 'unchanged' : 'switched',
    version: to.version,
    ...(active === undefined || isActive ? {} : { previous: active.version }),
    reference: to.reference,
    image: to.image,
    elapsedMs: elapsedSince(started),
    dryRun,
  };
}

function choose(
  store: Store,
  target: string,
  active: DeploymentRow | undefined,
  wanted: number | undefined,
): DeploymentRow {
  const kept = deploymentsOf(store, target).filter(({ state }) => state === 'active' || state === 'retired');
  const found =
    wanted === undefined
      ? kept.filter(({ version }) => version < (active?.version ?? Infinity)).at(-1)
      : kept.find(({ version }) => version === wanted);
  if (found !== undefined) return found;
  throw new CellarError('E_DEPLOYMENT_NOT_FOUND', {
    details: {
      target,
      wanted: wanted === undefined ? 'earlier version' : `version ${wanted}`,
      store: store.root,
    },
    hint:
      kept.length === 0
        ? "'cellar deployments' lists what is deployed"
        : `kept are ${kept.map(({ version }) => version).join(', ')}`,
  });
}
