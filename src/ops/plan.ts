/**
 * `cellar plan`: what the deployments of `cellar.yaml` need from upstream, and what would come of each at its target.
 * Nothing is changed. `cellar apply` carries out the very object that is shown.
 */
import { loadConfig, type LoadedConfig } from '../config/load.ts';
import type { DeploymentEntry } from '../config/deployments.ts';
import { selectDeployments } from '../config/deployments.ts';
import { settleParameters, splitWords } from '../config/parameters.ts';
import { type CellarError, isCellarError } from '../core/errors.ts';
import { hostPlatform } from '../core/platform.ts';
import { redact, redactParameters } from '../core/redact.ts';
import { parseSelector, type Reference } from '../core/reference.ts';
import {
  activeRow,
  nextVersion,
  refuseForeign,
  refuseOfAnotherStore,
} from '../deploy/engine/deployment-rows.ts';
import { openTarget } from '../deploy/targets.ts';
import { refuseInUse } from '../deploy/engine/users-stopped.ts';
import { deploymentsOf, type DeploymentRow } from '../store/deployments.ts';
import { openIfThere } from '../store/store.ts';
import { explained } from '../sys/any-error.ts';
import type { Context } from './context.ts';
import { deploy, type DeployOptions } from './deploy.ts';
import { findMissing } from './fetch-missing.ts';
import { sync, type SyncedImage } from './sync.ts';
import { withPlace, type NamedImages } from './unknown-image.ts';

export interface PlanOptions {
  /** Deployments, groups or patterns, none for all, and `NAME.KEY=VALUE`. */
  readonly words?: readonly string[];
  /** Ask no source: what the store has is what is deployed. */
  readonly offline?: boolean | undefined;
  /** Default: that of this process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
}

export interface PlannedDeployment {
  readonly name: string;
  readonly target: string;
  readonly reference: string;
  /** `handlers`: nothing changes, but commands of the last switch are still to be run. */
  readonly step: 'deploy' | 'unchanged' | 'handlers' | 'refused';
  /** That will be in service. Where the image is fetched first and turns out to be what is in service, that stays. */
  readonly version?: number;
  /** In service before. */
  readonly previous?: number;
  /** Redacted; where the image is fetched from first. */
  readonly fetch?: string;
  /** A deployment there was cut short; it is finished or undone first. */
  readonly interrupted?: true;
  /** Values of secrets are replaced. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Why it is refused. */
  readonly error?: CellarError;
}

export interface Plan {
  /** Those of the configuration that are needed, as a look at their sources finds them. */
  readonly images: readonly SyncedImage[];
  /** In the order in which they are done. */
  readonly deployments: readonly PlannedDeployment[];
  /** What each comes to, by its name. It holds secrets: it is carried out, and never shown. */
  readonly work: ReadonlyMap<string, DeployOptions>;
}

/** Refusals are results. @throws E_CONFIG*, E_DEPLOYMENT_NAME, E_DEPLOYMENT_SETTING, E_CANCELLED */
export async function plan(context: Context, options: PlanOptions = {}): Promise<Plan> {
  const config = loadConfig(context.configPath);
  const { names, settings } = splitWords(options.words ?? []);
  const entries = selectDeployments(config, names);
  const parameters = settleParameters(config, entries, { settings, env: options.env ?? process.env });
  const images = options.offline === true ? [] : await lookAtImages(context, config, entries);
  const work = new Map<string, DeployOptions>();
  using _open = openIfThere(context.storeRoot);
  const deployments: PlannedDeployment[] = [];
  for (const entry of entries) {
    const own = parameters.get(entry.name) ?? {};
    const { image: reference, name, imagePlaces, groups: _groups, ...rest } = entry;
    const wanted = { ...rest, reference, parameters: own, offline: options.offline };
    work.set(name, wanted);
    const named = { places: imagePlaces, references: config.images.map((image) => image.reference) };
    const outcome = await judge(context, wanted, { images, named });
    deployments.push({
      ...{ name, target: entry.target, reference, parameters: redactParameters(own) },
      ...outcome,
    });
  }
  return { images, deployments, work };
}

/** The image of the configuration that is meant: its newest, so neither history nor a digest. */
export function imageOf(images: readonly SyncedImage[], reference: string): SyncedImage | undefined {
  const wanted = newestOf(reference);
  return images.find((image) => image.reference === wanted);
}

/** Will a sync transfer it? Other platforms than this machine's do not matter here. */
export function isFetched(image: SyncedImage | undefined): boolean {
  if (image === undefined) return false;
  const here = image.pulled?.images.find(({ platform }) => platform === hostPlatform);
  return here === undefined ? ['new', 'updated'].includes(image.outcome) : here.change !== 'unchanged';
}

function newestOf(image: string): Reference | undefined {
  const selector = parseSelector(image);
  if (selector.by !== 'reference' || selector.earlier > 0 || selector.digest !== undefined) return undefined;
  return selector.reference;
}

async function lookAtImages(
  context: Context,
  config: LoadedConfig,
  entries: readonly DeploymentEntry[],
): Promise<readonly SyncedImage[]> {
  const wanted = new Set(
    entries.flatMap(({ image, nested = [] }) =>
      [image, ...nested.map(({ reference }) => reference)].map(newestOf),
    ),
  );
  const needed = config.images.filter(({ reference }) => wanted.has(reference));
  if (needed.length === 0) return [];
  // Without a store there is nothing that upstream could be compared with, and a plan does not make one.
  if (!hasStore(context))
    return needed.map(({ reference, source }) => ({
      ...{ reference, source: redact(source), outcome: 'new', state: 'unknown' },
    }));
  return (await sync(context, { names: needed.map(({ reference }) => reference), check: true })).images;
}

type Judgement = Pick<PlannedDeployment, 'step' | 'version' | 'previous' | 'fetch' | 'interrupted' | 'error'>;

async function judge(
  context: Context,
  wanted: DeployOptions,
  { images, named }: { images: readonly SyncedImage[]; named: NamedImages },
): Promise<Judgement> {
  const image = imageOf(images, wanted.reference);
  try {
    if (image !== undefined && isFetched(image)) return await beforeFetch(context, wanted, image.source);
    const inside = (wanted.nested ?? []).map(({ reference }) => imageOf(images, reference));
    const fetched = inside.find((one) => isFetched(one));
    if (fetched !== undefined) return await beforeFetch(context, wanted, fetched.source);
    if (image?.error !== undefined && (await isMissing(context, wanted))) throw image.error;
    const source = await findMissing(context, wanted);
    if (source !== undefined) return await beforeFetch(context, wanted, redact(source.source));
    const { change, version, previous, target, owed } = await deploy(context, {
      ...wanted,
      ...{ dryRun: true, offline: true },
    });
    const { interrupted } = recordsOf(context, target);
    const step = change === 'deployed' ? 'deploy' : owed === true ? 'handlers' : 'unchanged';
    return { step, version, ...(previous === undefined ? {} : { previous }), ...interrupted };
  } catch (thrown) {
    const problem = explained(thrown);
    if (!isCellarError(problem) || problem.code === 'E_CANCELLED') throw problem;
    const error = await withPlace(context, problem, { ...named, offline: wanted.offline });
    // What the look at its source has reported already is not told twice.
    if (error !== image?.error) context.events({ type: 'error', error });
    return { step: 'refused', error };
  }
}

/** What it will be is not known yet; what its target says is. */
async function beforeFetch(context: Context, wanted: DeployOptions, fetch: string): Promise<Judgement> {
  const target = await openTarget(wanted.target, { force: false });
  const state = await target.look(context.signal);
  refuseInUse(target, state, wanted);
  refuseForeign(target, state);
  using store = openIfThere(context.storeRoot);
  refuseOfAnotherStore(store, target, state);
  const { active, next = 1, interrupted } = recordsOf(context, target.name);
  return {
    step: 'deploy',
    version: next,
    ...(active === undefined ? {} : { previous: active.version }),
    fetch,
    ...interrupted,
  };
}

interface Records {
  readonly active?: DeploymentRow | undefined;
  readonly next?: number;
  readonly interrupted?: { readonly interrupted: true } | undefined;
}

function recordsOf(context: Context, target: string): Records {
  using store = openIfThere(context.storeRoot);
  if (store === undefined) return {};
  const rows = deploymentsOf(store, target);
  const wasCut = rows.some(({ state }) => state === 'staging' || state === 'switching');
  return {
    active: activeRow(store, target),
    next: nextVersion(store, target),
    interrupted: wasCut ? { interrupted: true } : undefined,
  };
}

async function isMissing(context: Context, wanted: DeployOptions): Promise<boolean> {
  try {
    return (await findMissing(context, wanted)) !== undefined;
  } catch (error) {
    if (isCellarError(error)) return true;
    throw error;
  }
}

function hasStore(context: Context): boolean {
  using store = openIfThere(context.storeRoot);
  return store !== undefined;
}
