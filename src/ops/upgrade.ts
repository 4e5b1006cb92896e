/**
 * `cellar upgrade`: a writable target moves to a newer base and keeps what was changed in it. The instance is read as a
 * commit reads it, put together with the newer tree path by path, and the result is the next version. The row of that
 * version names the image that it stands on now, which is what the next upgrade compares with, and the tree it has.
 */
import { realpathSync } from 'node:fs';
import { jsonDigest } from '../core/canonical-json.ts';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { Provenance } from '../core/record.ts';
import {
  activeRow,
  deployVersion,
  fireOwed,
  foresee,
  prune,
  recover,
  type Engine,
} from '../deploy/engine.ts';
import type { Target, TargetState } from '../deploy/port.ts';
import { deploymentRecord } from '../deploy/record.ts';
import { openTarget } from '../deploy/targets.ts';
import { refuseInUse, startUsers, stopUsers, type Stopping } from '../deploy/users-stopped.ts';
import { findCheckout, identityOf, type CheckoutRow } from '../store/checkouts.ts';
import { deploymentsOf, planDeployment, type DeploymentRow, type NestedFile } from '../store/deployments.ts';
import { leaseTree } from '../store/lease.ts';
import { enterFlight } from '../store/single-flight.ts';
import { holdTrees } from '../store/staging.ts';
import { openStore, type Store } from '../store/store.ts';
import { beginTransaction } from '../store/transaction.ts';
import { readTree } from '../store/trees.ts';
import { diffTrees } from '../tree/diff.ts';
import { mergeThree, type Side, type ThreeWay } from '../tree/three-way.ts';
import { openBench } from './bench.ts';
import { readEntries } from './commit.ts';
import type { Context } from './context.ts';
import { defaultKeepVersions } from './deploy.ts';
import { fetchMissing } from './fetch-missing.ts';
import { nestInto, resolveNested, withNested, type ResolvedNesting } from './nested.ts';
import { resolveTree, type TreeImage } from './resolve-tree.ts';

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
  const { name } = openTarget(options.target, { force: false });
  using store = openStore(context.storeRoot);
  using _flight = await enterFlight(store.root, `deploy ${name}`, context.signal);
  await using bench = openBench(context, store);
  const { method, quota } = activeRow(store, name) ?? {};
  const target = openTarget(name, {
    force: false,
    ...(method === undefined ? {} : { method }),
    ...(quota === undefined ? {} : { quota }),
  });
  const engine: Engine = { store, target, bench };
  const found = dryRun ? await foresee(engine) : await recover(engine);
  const state = await target.look();
  const active = withCommands(requireInstance(engine, found, state), options);
  const reference = named ?? active.reference;
  const { platform } = active;
  const base = await resolveTree(context, store, active.image, { platform });
  const next = await resolveTree(context, store, reference, { platform });
  const common = { target: name, reference, base: next.digest, dryRun };
  const elapsed = (): number => Math.round(performance.now() - started);
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
  const change: Change = { ...options, engine, active, base, next, nested, reference };
  const version = (deploymentsOf(store, name).at(-1)?.version ?? 0) + 1;
  const done = { ...common, change: 'upgraded', version, previous: active.version } as const;
  if (dryRun) return { ...done, ...(await prepare(context, change, { dryRun })), elapsedMs: elapsed() };
  const upgraded = await whileStopped(context, change, async (row) => {
    const prepared = await prepare(context, { ...change, active: row }, { dryRun });
    using _merged = holdTrees(store.root, [prepared.tree]);
    const deployed = await putInService({ ...change, active: row }, { ...prepared, version });
    return { ...prepared, ...(deployed.method === undefined ? {} : { method: deployed.method }) };
  });
  await prune(engine, options.keep ?? defaultKeepVersions);
  return { ...done, ...upgraded, elapsedMs: elapsed() };
}

interface Change extends Pick<UpgradeOptions, 'take'> {
  readonly engine: Engine;
  readonly active: DeploymentRow;
  readonly base: TreeImage;
  readonly next: TreeImage;
  /** What is nested in the newer base. */
  readonly nested: readonly ResolvedNesting[];
  readonly reference: string;
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
function withCommands(active: DeploymentRow, { stop, start }: UpgradeOptions): DeploymentRow {
  const { handlers } = active;
  return {
    ...active,
    handlers: {
      ...handlers,
      ...(stop === undefined ? {} : { stop }),
      ...(start === undefined ? {} : { start }),
    },
  };
}

/**
 * Changes that are made after they were read would be lost, so what runs goes down first, but not for conflicts that
 * can be seen while it runs. Whatever goes wrong, it is started again; a start that a crash kept from happening is owed
 * by the row.
 */
async function whileStopped<T>(
  context: Context,
  change: Change,
  work: (row: DeploymentRow) => Promise<T>,
): Promise<T> {
  const { engine, active } = change;
  const { store, target, bench } = engine;
  if (active.handlers.stop === undefined) return await work(active);
  await prepare(context, change, { dryRun: true }).catch((error: unknown) => {
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

type Prepared = Required<Pick<UpgradeResult, 'tree' | 'kept' | 'decided'>> & {
  readonly nested: readonly NestedFile[];
  readonly image?: Digest;
};

/** The instance as it is now on the newer base, stored unless it is a dry run. */
async function prepare(context: Context, change: Change, { dryRun }: { dryRun: boolean }): Promise<Prepared> {
  const { engine, base, next, active } = change;
  const { store, target } = engine;
  const { directory, row } = instanceAt(store, target);
  await using transaction = await beginTransaction(store, { signal: context.signal });
  const request = { store, directory, row, exclude: () => false };
  const { entries: mine } = await readEntries(context, transaction, request);
  const made = await nestInto(
    transaction,
    { entries: readTree(store, next.tree), nested: change.nested },
    engine.bench,
  );
  const newer = made.entries;
  const merged = mergeThree({
    ...{ base: withNested(readTree(store, base.tree), active.nested), mine, next: newer },
    ...(change.take === undefined ? {} : { take: change.take }),
  });
  if (change.take === undefined) refuseConflicts(change, merged);
  const { added, removed, changed } = diffTrees(newer, merged.entries);
  const counts = {
    kept: added.length + removed.length + changed.length,
    decided: merged.conflicts.length,
    nested: made.files,
  };
  if (dryRun) return { tree: (await transaction.preview(merged)).tree, ...counts };
  const { content, image } = await transaction.commit({
    ...{ entries: merged.entries, platform: active.platform, labels: next.record.labels },
    provenance: provenanceOf(change),
    ...{ references: [], action: 'commit' },
  });
  return { tree: content, image, ...counts };
}

/** Number of conflicts told of; beyond them it is their count that helps. */
const shown = 20;

function refuseConflicts({ engine, reference }: Change, { conflicts }: ThreeWay): void {
  if (conflicts.length === 0) return;
  const first = conflicts.slice(0, shown).map(toText);
  const more = conflicts.length > shown ? ` and ${conflicts.length - shown} more` : '';
  throw new CellarError('E_UPGRADE_CONFLICT', {
    details: {
      ...{ target: engine.target.name, reference, count: conflicts.length },
      ...{ paths: first.join(', ') + more, conflicts: first },
    },
  });
}

/** @throws E_CHECKOUT_NOT_FOUND where what lies there is no checkout of ours: what it changed cannot be known */
function instanceAt(store: Store, target: Target): { directory: ByteString; row: CheckoutRow } {
  const path = target.directory?.();
  if (path === undefined) throw missing(store, target.path ?? target.name);
  const directory = realpathSync(toBytes(fromText(path)), { encoding: 'latin1' });
  const row = findCheckout(store, directory);
  const isOurs = row?.identity === undefined || row.identity === identityOf(directory);
  if (row === undefined || row.releasing === true || !isOurs) throw missing(store, toText(directory));
  return { directory, row };
}

function missing(store: Store, path: string): CellarError {
  return new CellarError('E_CHECKOUT_NOT_FOUND', {
    details: { path, store: store.root },
    hint: "'cellar deploy' puts another version in service there",
  });
}

async function putInService(
  change: Change,
  { tree, version, nested }: Pick<Prepared, 'tree' | 'nested'> & { readonly version: number },
): Promise<DeploymentRow> {
  const { engine, active, next, reference } = change;
  const { platform, parameters, handlers, writable, inputs, recordPath, quota } = active;
  const { stopped: _stopped, ...commands } = handlers;
  const wanted = {
    ...{ version, id: `${version}-${tree.slice(0, 8)}`, reference, image: next.digest },
    ...{ kind: next.record.kind, content: next.record.content, tree, platform },
    provenance: provenanceOf(change),
    // Another deployment of the base alone is not the same: it has none of the changes.
    ...{ parameters, writable, inputs: jsonDigest({ before: inputs, tree }) },
    handlers: { ...commands, state: 'none' as const },
    ...(recordPath === undefined ? {} : { recordPath }),
    ...(nested.length === 0 ? {} : { nested }),
    ...(quota === undefined ? {} : { quota }),
  };
  const { row } = await deployVersion(engine, wanted, {
    ...{ id: wanted.id, reference, record: next.record, tree, writable, parameters },
    deploymentRecord: deploymentRecord({
      ...wanted,
      ...{ target: engine.target.name, previous: active.version },
    }),
    ...(recordPath === undefined ? {} : { recordInside: { path: fromText(recordPath) } }),
  });
  return row;
}

/** Nobody has verified what was changed there. */
function provenanceOf({ engine, next }: Change): Provenance {
  return { via: 'commit', source: engine.target.name, verified: 'no', parent: next.digest };
}
