/**
 * `cellar upgrade`: a writable target moves to a newer base and keeps what was changed in it. The instance is read as a
 * commit reads it, put together with the newer tree path by path (rebase.ts), and the result is the next version. The
 * row of that version names the image that it stands on now, which is what the next upgrade compares with, and the tree
 * it has.
 */
import { jsonDigest } from '../core/canonical-json.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { activeRow, nextVersion } from '../deploy/engine/deployment-rows.ts';
import { prune } from '../deploy/engine/discard.ts';
import {
  deployVersion,
  fireOwed,
  foresee,
  recover,
  type Engine,
  type NewDeployment,
} from '../deploy/engine.ts';
import { withStops } from '../deploy/engine/owed-handlers.ts';
import type { TargetState } from '../deploy/port.ts';
import { requireFiles } from '../deploy/engine/require-files.ts';
import { openTarget } from '../deploy/targets.ts';
import { refuseInUse, startUsers, stopUsers, type Stopping } from '../deploy/engine/users-stopped.ts';
import { planDeployment, type DeploymentRow } from '../store/deployments.ts';
import { leaseTree } from '../store/lease.ts';
import { openStore, requireWritable } from '../store/store.ts';
import type { Side } from '../tree/three-way.ts';
import { openWorkbench } from './deploy/workbench.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { defaultKeepVersions } from './deploy.ts';
import { fetchMissing } from './fetch-missing.ts';
import { resolveNested } from './deploy/nested.ts';
import { provenanceOf, rebase, type Rebase, type Rebased } from './rebase.ts';
import { resolveTree } from './resolve-tree.ts';
import { enterTarget } from './deploy/flight.ts';
import { versionOf } from './deploy/wanted-version.ts';

export interface UpgradeOptions {
  readonly target: string;
  /** The newer base. Default: the reference that the version in service was deployed from. */
  readonly reference?: string | undefined;
  /** Whose entry counts where both changed a path; without it that is an error. */
  readonly take?: Side | undefined;
  /** Earlier versions to keep. Default 2. */
  readonly keep?: number | undefined;
  /** Commands around the switch; default: those given with the version in service. */
  readonly stop?: string | undefined;
  readonly start?: string | undefined;
  /** Never fetch what is not in the store. */
  readonly offline?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface UpgradeResult {
  readonly target: string;
  readonly reference: string;
  readonly change: 'upgraded' | 'unchanged';
  readonly version: number;
  readonly previous?: number;
  /** The image that it stands on. */
  readonly base: Digest;
  /** The image and the tree with the changes of its own; the image is absent in a dry run. */
  readonly image?: Digest;
  readonly tree?: Digest;
  /** Paths in which it differs from its base. */
  readonly kept?: number;
  /** Conflicts that `take` decided. */
  readonly decided?: number;
  readonly method?: string;
  readonly elapsedMs: number;
  readonly dryRun: boolean;
}

/**
 * @throws E_UPGRADE_CONFLICT, E_UPGRADE_SEALED, E_DEPLOYMENT_NOT_FOUND, E_TARGET_*, E_CHECKOUT_*, E_DEPLOY_HANDLER, and
 *   what commits and checkouts throw
 */
export async function upgrade(context: Context, options: UpgradeOptions): Promise<UpgradeResult> {
  const started = performance.now();
  const { reference: named, offline, dryRun = false } = options;
  if (named !== undefined && !dryRun) await fetchMissing(context, { reference: named, offline });
  const { name } = await openTarget(options.target, { force: false });
  using store = openStore(context.storeRoot);
  requireWritable(store);
  using flight = await enterTarget(context, store, name);
  await using bench = openWorkbench(context, store, flight);
  const { method, quota } = activeRow(store, name) ?? {};
  const target = await openTarget(name, {
    force: false,
    ...(method === undefined ? {} : { method }),
    ...(quota === undefined ? {} : { quota }),
  });
  const engine: Engine = { store, target, bench };
  const found = dryRun ? await foresee(engine) : await recover(engine);
  const state = await target.look(context.signal);
  const active = withStopping(requireInstance(engine, found, state), options);
  await requireFiles(engine, active, { dryRun });
  const reference = named ?? active.reference;
  const { platform } = active;
  const base = await resolveTree(context, store, active.image, { platform });
  const next = await resolveTree(context, store, reference, { platform });
  const common = { target: name, reference, base: next.digest, dryRun };
  const elapsed = (): number => elapsedSince(started);
  const nested = await resolveNested(context, store, { nested: active.nested ?? [], platform });
  const isSame = nested.every(({ tree }, index) => tree === active.nested?.[index]?.tree);
  if (next.tree === base.tree && isSame) {
    if (!dryRun) {
      await fireOwed(engine, active);
      await prune(engine, options.keep ?? defaultKeepVersions);
    }
    return { ...common, change: 'unchanged', version: active.version, elapsedMs: elapsed() };
  }
  refuseInUse(target, state, active.handlers);
  using _base = await leaseTree(store, base.tree, context.signal);
  using _next = await leaseTree(store, next.tree, context.signal);
  const change: Rebase = { ...options, engine, active, base, next, nested, reference };
  const version = nextVersion(store, name);
  const done = { ...common, change: 'upgraded', version, previous: active.version } as const;
  if (dryRun) return { ...done, ...(await rebase(context, change, { dryRun })), elapsedMs: elapsed() };
  const upgraded = await whileStopped(context, change, async (row) => {
    using stack = new DisposableStack();
    const rebased = await rebase(context, { ...change, active: row }, { dryRun, stack });
    const deployed = await putInService({ ...change, active: row }, { ...rebased, version });
    return { ...rebased, ...(deployed.method === undefined ? {} : { method: deployed.method }) };
  });
  await prune(engine, options.keep ?? defaultKeepVersions);
  return { ...done, ...upgraded, elapsedMs: elapsed() };
}

/** The version in service, if it is one that may have changes of its own. */
function requireInstance(
  { store, target }: Engine,
  active: DeploymentRow | undefined,
  state: TargetState,
): DeploymentRow {
  if (state.foreign !== undefined)
    throw new CellarError('E_TARGET_FOREIGN', {
      details: { path: target.path ?? target.name, found: state.foreign },
      hint: 'only what was deployed knows the base that it came from',
    });
  if (active === undefined || state.active !== active.id)
    throw new CellarError('E_DEPLOYMENT_NOT_FOUND', {
      details: { target: target.name, wanted: 'version in service', store: store.root },
    });
  const { version, writable, tree } = active;
  if (!writable || tree === undefined || target.directory === undefined)
    throw new CellarError('E_UPGRADE_SEALED', { details: { target: target.name, version } });
  return active;
}

/** What stops the machine now is what was given with the version that runs, unless the user says otherwise. */
function withStopping(active: DeploymentRow, { stop, start }: UpgradeOptions): DeploymentRow {
  return { ...active, handlers: withStops(active.handlers, { stop, start }) };
}

/**
 * Changes that are made after they were read would be lost, so what runs goes down first, but not for conflicts that
 * can be seen while it runs. Whatever goes wrong, it is started again; a start that a crash kept from happening is owed
 * by the row.
 */
async function whileStopped<T>(
  context: Context,
  change: Rebase,
  work: (row: DeploymentRow) => Promise<T>,
): Promise<T> {
  const { engine, active } = change;
  const { store, target, bench } = engine;
  if (active.handlers.stop === undefined) return await work(active);
  await rebase(context, change, { dryRun: true }).catch((error: unknown) => {
    if (!isCellarError(error, 'E_SOURCE_CHANGED')) throw error;
  });
  let row = active;
  const stopping: Stopping = {
    ...{ target, bench },
    record: (owing) => store.rows.write([planDeployment((row = owing))]),
  };
  try {
    row = await stopUsers(active, stopping);
    return await work(row);
  } catch (error) {
    // After the switch the engine has seen to it.
    const now = activeRow(store, target.name);
    if (now?.version === active.version && now.handlers.stopped === true)
      await startUsers(now, stopping).catch((second: unknown) =>
        bench.events({
          ...{ type: 'warning', code: 'E_DEPLOY_HANDLER' },
          text: `starting again what was stopped: ${String(second)}`,
        }),
      );
    throw error;
  }
}

async function putInService(
  change: Rebase,
  { tree, version, nested }: Pick<Rebased, 'tree' | 'nested'> & { readonly version: number },
): Promise<DeploymentRow> {
  const { engine, active, next, reference } = change;
  const { platform, parameters, handlers, writable, inputs, recordPath, quota } = active;
  const { stopped: _stopped, ...commands } = handlers;
  const wanted: NewDeployment = {
    ...{ version, id: `${version}-${tree.slice(0, 8)}`, reference, image: next.digest },
    ...{ kind: next.record.kind, content: next.record.content, tree, platform },
    provenance: provenanceOf(change),
    // Another deployment of the base alone is not the same: it has none of the changes.
    ...{ parameters, writable, inputs: jsonDigest({ before: inputs, tree }) },
    handlers: { ...commands, state: 'none' },
    ...(recordPath === undefined ? {} : { recordPath }),
    ...(nested.length === 0 ? {} : { nested }),
    ...(quota === undefined ? {} : { quota }),
  };
  const names = { target: engine.target.name, previous: active.version };
  const { row } = await deployVersion(engine, wanted, versionOf(wanted, { image: next, tree }, names));
  return row;
}
