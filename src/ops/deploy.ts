/**
 * `cellar deploy`: a version of an image in service at a target, switched in one step. The same content with the same
 * parameters changes nothing; what fails leaves, or brings back, what was there.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Platform } from '../core/platform.ts';
import { prune } from '../deploy/engine/discard.ts';
import { owesHandlers } from '../deploy/engine/owed-handlers.ts';
import { foresee, recover, type Engine } from '../deploy/engine.ts';
import type { Target, TargetOptions } from '../deploy/port.ts';
import { openTarget } from '../deploy/targets.ts';
import { refuseKind } from '../deploy/version-kind.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore, requireWritable } from '../store/store.ts';
import type { Context } from './context.ts';
import { enterTarget } from './deploy/flight.ts';
import { fetchNested, resolveNested, type Nesting } from './deploy/nested.ts';
import { putInService } from './deploy/put-in-service.ts';
import { wantedRow, type FoundImage } from './deploy/wanted-version.ts';
import { openWorkbench } from './deploy/workbench.ts';
import { elapsedSince } from './elapsed.ts';
import { fetchMissing } from './fetch-missing.ts';
import { refuseInsideStore } from './inside-store.ts';
import { resolveTree } from './resolve-tree.ts';
import { retried } from './retried.ts';

export interface DeployOptions {
  readonly reference: string;
  /** `kind:rest`; see 'cellar help names'. */
  readonly target: string;
  readonly platform?: Platform | undefined;
  readonly writable?: boolean | undefined;
  readonly method?: string | undefined;
  /** Bytes that the version may hold in all; for targets that are trees, by methods that have quotas. */
  readonly quota?: number | undefined;
  readonly onChange?: string | undefined;
  readonly check?: string | undefined;
  /** Earlier versions to keep, pinned. Default 2. */
  readonly keep?: number | undefined;
  readonly mode?: number | undefined;
  readonly owner?: TargetOptions['owner'];
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** Replace what is not ours; deploy again what is unchanged. */
  readonly force?: boolean | undefined;
  /** Commands that stop and start what runs on the target. */
  readonly stop?: string | undefined;
  readonly start?: string | undefined;
  /** Of `lxc:`: for `lxc-copy --snapshot` to clone. What is missing is asked for three times. */
  readonly base?: boolean | undefined;
  /** Of the compressor, where the target has one. */
  readonly level?: number | undefined;
  /** Between two tries, in milliseconds. Default 10 s. */
  readonly pauseMs?: number | undefined;
  /** Path of the record in the tree, or `none`. Default: one in a tree that is written to in service, else `none`. */
  readonly record?: string | undefined;
  /** Archives of other images within the tree. */
  readonly nested?: readonly Nesting[] | undefined;
  /** Never fetch what is not in the store. */
  readonly offline?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
}

export interface DeployResult {
  readonly target: string;
  readonly reference: string;
  /** What was done, or would be. */
  readonly change: 'deployed' | 'unchanged';
  readonly version: number;
  readonly previous?: number;
  /** Of what is unchanged: commands of its switch, which a crash kept from running, were or would be run. */
  readonly owed?: true;
  readonly image: Digest;
  readonly content: Digest;
  readonly path?: string;
  readonly method?: string;
  readonly elapsedMs: number;
  readonly dryRun: boolean;
}

export const defaultKeepVersions = 2;

/** Many containers wait for a base, so trouble on the way to it is not the end at once. */
const baseTries = 3;
const basePauseMs = 10_000;

/** @throws E_NOT_FOUND, E_TARGET_*, E_DEPLOY_HANDLER, E_NO_SPACE and what checkouts throw */
export async function deploy(context: Context, options: DeployOptions): Promise<DeployResult> {
  const started = performance.now();
  const { nested = [], keep = defaultKeepVersions, dryRun = false } = options;
  const target = await openWith(options);
  await fetchNested(context, nested, options);
  await fetchImage(context, options);
  using store = openStore(context.storeRoot);
  requireWritable(store);
  if (target.path !== undefined) refuseInsideStore(store, target.path);
  using flight = await enterTarget(context, store, target.name);
  await using bench = openWorkbench(context, store, flight);
  const engine: Engine = { store, target, bench };
  const found = await findImage(context, engine, options);
  const before = dryRun ? await foresee(engine) : await recover(engine);
  const inside = await resolveNested(context, store, { ...options, nested });
  const wanted = wantedRow(engine, { ...options, nested: inside }, found);
  const { change, row } = await putInService(context, { engine, options, found, inside, before, wanted });
  if (!dryRun) await prune(engine, keep);
  return {
    target: target.name,
    reference: options.reference,
    change,
    version: row.version,
    ...(change === 'deployed' && before !== undefined ? { previous: before.version } : {}),
    ...(change === 'unchanged' && before !== undefined && owesHandlers(before) ? { owed: true } : {}),
    image: found.image.digest,
    content: found.image.record.content,
    ...(target.path === undefined ? {} : { path: target.path }),
    ...(row.method === undefined ? {} : { method: row.method }),
    elapsedMs: elapsedSince(started),
    dryRun,
  };
}

/** @throws E_TARGET_INVALID, E_USAGE for options that are for other kinds of targets */
async function openWith(options: DeployOptions): Promise<Target> {
  const { force = false, mode, owner, method, quota, base, level } = options;
  const target = await openTarget(options.target, {
    force,
    ...(mode === undefined ? {} : { mode }),
    ...(owner === undefined ? {} : { owner }),
    ...(method === undefined ? {} : { method }),
    ...(quota === undefined ? {} : { quota }),
    ...(base === true ? { base } : {}),
    ...(level === undefined ? {} : { level }),
  });
  if (base === true && !target.name.startsWith('lxc:'))
    throw new CellarError('E_USAGE', { details: { problem: '--base is for targets of kind lxc' } });
  if (quota !== undefined && !/^(?:dir|machine|lxc):/.test(target.name))
    throw new CellarError('E_USAGE', {
      details: { problem: '--quota is for targets that are trees: dir, machine, lxc' },
    });
  return target;
}

async function fetchImage(context: Context, options: DeployOptions): Promise<void> {
  const { base, pauseMs = basePauseMs } = options;
  await retried(async () => await fetchMissing(context, options), {
    tries: base === true ? baseTries : 1,
    ...{ pauseMs, signal: context.signal, events: context.events },
  });
}

/** @throws E_NOT_FOUND, E_NOT_A_TREE, E_USAGE for an image that the target does not take */
async function findImage(
  context: Context,
  { store, target }: Engine,
  { reference, platform }: DeployOptions,
): Promise<FoundImage> {
  const image = resolveImage(store, reference, { platform });
  const { record } = image;
  const isTakenAsIs = record.kind === 'file' || (record.kind === 'oci' && target.takesImages === true);
  const tree = isTakenAsIs ? undefined : (await resolveTree(context, store, reference, { platform })).tree;
  refuseKind(target, { record, tree, reference });
  return { image, tree };
}
