/**
 * What a deployment comes to at its target: nothing where the wanted version is in service, a switch where it is kept
 * there, else a new version, staged and switched to.
 */
import { CellarError } from '../../core/errors.ts';
import { refuseForeign, refuseOfAnotherStore } from '../../deploy/engine/deployment-rows.ts';
import { refuseInUse } from '../../deploy/engine/users-stopped.ts';
import { deployVersion, fireOwed, switchTo, type Engine, type NewDeployment } from '../../deploy/engine.ts';
import type { TargetState } from '../../deploy/port.ts';
import { deploymentsOf, type DeploymentRow } from '../../store/deployments.ts';
import type { Context } from '../context.ts';
import type { DeployOptions, DeployResult } from '../deploy.ts';
import { nestedVersion, type ResolvedNesting } from './nested.ts';
import { recordedVersion } from './recorded-version.ts';
import { handlersOf, versionOf, type FoundImage } from './wanted-version.ts';

export interface Work {
  readonly engine: Engine;
  readonly options: DeployOptions;
  readonly found: FoundImage;
  /** What the found image is to hold besides. */
  readonly inside: readonly ResolvedNesting[];
  /** In service, or about to be when a killed switch is finished. */
  readonly before: DeploymentRow | undefined;
  readonly wanted: NewDeployment;
}

export interface Outcome {
  readonly change: DeployResult['change'];
  readonly row: Pick<DeploymentRow, 'version' | 'method'>;
}

/** @throws E_TARGET_*, E_SYSTEM_LABEL, E_DEPLOY_HANDLER, and what staging throws */
export async function putInService(context: Context, work: Work): Promise<Outcome> {
  const { engine, options, before, wanted } = work;
  const { store, target, bench } = engine;
  const { force = false, dryRun = false } = options;
  const state = await target.look(context.signal);
  const isSame = before !== undefined && !force && before.inputs === wanted.inputs;
  const kept = isSame ? undefined : keptVersion(engine, wanted, options);
  if (
    before !== undefined &&
    (isSame || kept?.id === before.id) &&
    isInService(state, before) &&
    (await target.restore?.(before.id, bench, { dryRun })) !== false
  ) {
    if (!dryRun)
      await fireOwed(engine, { ...before, handlers: { ...before.handlers, ...handlersOf(options) } });
    return { change: 'unchanged', row: before };
  }
  refuseInUse(target, state, options);
  refuseForeign(target, state, { force });
  if (!force) refuseOfAnotherStore(store, target, state);
  if (dryRun) {
    const names = { target: target.name, previous: before?.version };
    if (kept === undefined) await target.rehearse?.(versionOf(wanted, work.found, names), bench);
    return { change: 'deployed', row: kept ?? wanted };
  }
  if (kept === undefined) return { change: 'deployed', row: await deployNew(context, work) };
  const { row } = await switchTo(engine, { ...kept, handlers: { ...handlersOf(options), state: 'none' } });
  return { change: 'deployed', row };
}

async function deployNew(
  context: Context,
  { engine, found, inside, before, wanted }: Work,
): Promise<DeploymentRow> {
  const { store, target, bench } = engine;
  const version = versionOf(wanted, found, { target: target.name, previous: before?.version });
  using nesting = await nestedVersion(context, store, { version, nested: inside }, bench);
  using recorded = await recordedVersion(context, store, nesting.version, bench);
  const { files } = nesting;
  const planned = files.length === 0 ? wanted : { ...wanted, nested: files };
  return (await deployVersion(engine, planned, recorded.version)).row;
}

/**
 * The version that has the wanted one's place already, and is the same.
 * @throws E_SYSTEM_LABEL where the place is another's, or this one was damaged in it
 */
function keptVersion(
  { store, target }: Engine,
  { id, tree }: Pick<DeploymentRow, 'id' | 'tree'>,
  { parameters = {} }: DeployOptions,
): DeploymentRow | undefined {
  const same = target.admit?.({ id, parameters, ...(tree === undefined ? {} : { tree }) });
  if (same === undefined) return undefined;
  const row = deploymentsOf(store, target.name).find((known) => known.id === same);
  if (row?.state === 'active' || row?.state === 'retired') return row;
  throw new CellarError('E_SYSTEM_LABEL', {
    details: {
      target: target.name,
      label: parameters['label'] ?? same,
      tree: 'the same tree, deployed from another store',
    },
  });
}

function isInService({ active, stale }: TargetState, { id }: DeploymentRow): boolean {
  return active === id && stale !== true;
}
