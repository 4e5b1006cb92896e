/** `cellar apply`: a plan carried out, and nothing else. A deployment that fails does not keep the others. */
import { CellarError, isCellarError } from '../core/errors.ts';
import { openIfThere } from '../store/store.ts';
import { explained } from '../sys/any-error.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { deploy, type DeployOptions } from './deploy.ts';
import { imageOf, isFetched, type Plan, type PlannedDeployment } from './plan.ts';
import { sync, type SyncedImage } from './sync.ts';

export interface AppliedDeployment {
  readonly name: string;
  readonly target: string;
  readonly reference: string;
  /** `handlers`: nothing was changed, but commands of the last switch were run. */
  readonly outcome: 'deployed' | 'unchanged' | 'handlers' | 'failed';
  /** In service now. */
  readonly version?: number;
  readonly previous?: number;
  readonly error?: CellarError;
}

export interface ApplyResult {
  readonly images: readonly SyncedImage[];
  readonly deployments: readonly AppliedDeployment[];
  /** Deployments that failed or were refused. */
  readonly failed: number;
  readonly transferred: number;
  readonly elapsedMs: number;
}

/** Failures are results. @throws E_CONFIG*, E_CANCELLED */
export async function applyPlan(context: Context, plan: Plan): Promise<ApplyResult> {
  const started = performance.now();
  const synced = await fetchPlanned(context, plan);
  using _open = openIfThere(context.storeRoot);
  const deployments: AppliedDeployment[] = [];
  for (const planned of plan.deployments)
    deployments.push(await applyOne(context, planned, { plan, synced: synced.images }));
  return {
    images: plan.images.map((image) => imageOf(synced.images, image.reference) ?? image),
    deployments,
    failed: deployments.filter(({ outcome }) => outcome === 'failed').length,
    transferred: synced.transferred,
    elapsedMs: elapsedSince(started),
  };
}

/** What was looked at is asked for again, so that it is on record when; what the plan found broken is left alone. */
async function fetchPlanned(
  context: Context,
  { images }: Plan,
): Promise<{ readonly images: readonly SyncedImage[]; readonly transferred: number }> {
  const names = images
    .filter(({ outcome }) => outcome === 'new' || outcome === 'updated' || outcome === 'unchanged')
    .map(({ reference }) => reference);
  return names.length === 0 ? { images: [], transferred: 0 } : await sync(context, { names });
}

interface Carrying {
  readonly plan: Plan;
  readonly synced: readonly SyncedImage[];
}

async function applyOne(
  context: Context,
  { name, target, reference, error: refusal }: PlannedDeployment,
  { plan, synced }: Carrying,
): Promise<AppliedDeployment> {
  const about = { name, target, reference };
  const work = plan.work.get(name);
  if (work === undefined) throw new Error(`the plan says nothing of how to do ${name}`);
  const problem = refusal ?? notFetched(plan, synced, work);
  if (problem !== undefined) return { ...about, outcome: 'failed', error: problem };
  try {
    const { change, version, previous, owed } = await deploy(context, work);
    return {
      ...about,
      outcome: owed === true ? 'handlers' : change,
      version,
      ...(previous === undefined ? {} : { previous }),
    };
  } catch (thrown) {
    const error = explained(thrown);
    if (!isCellarError(error) || error.code === 'E_CANCELLED') throw error;
    context.events({ type: 'error', error });
    return { ...about, outcome: 'failed', error };
  }
}

/** A newer image was planned and did not come: the one before is not what was to be deployed. */
function notFetched(
  { images }: Plan,
  synced: readonly SyncedImage[],
  { reference }: DeployOptions,
): CellarError | undefined {
  const now = imageOf(synced, reference);
  if (now === undefined || !isFetched(imageOf(images, reference))) return undefined;
  if (now.outcome !== 'stale') return now.error;
  return new CellarError('E_NOT_CACHED', {
    details: { reference, places: now.source, problem: now.pulled?.problem?.message ?? 'it is stale' },
  });
}
