/** A plan for people and programs: what `plan` shows, and `apply --dry-run`. What is to be done in full stays inside. */
import type { Plan, PlannedDeployment } from '../../ops/plan.ts';
import type { Outcome } from '../outcome.ts';
import { reported } from './applied.ts';

export function shownPlan({ images, deployments }: Plan): Outcome {
  const counted = (step: PlannedDeployment['step']): number =>
    deployments.filter((one) => one.step === step).length;
  const others = (['handlers', 'refused'] as const).filter((step) => counted(step) > 0);
  return reported({
    ...{ images, deployments, say },
    facts: { dryRun: true },
    total: [
      `${counted('deploy')} to deploy`,
      `${counted('unchanged')} unchanged`,
      ...others.map((step) => `${counted(step)} ${step === 'handlers' ? 'with handlers owed' : step}`),
    ],
  });
}

function say({ step, version, previous, fetch, interrupted, error }: PlannedDeployment): string {
  const after = interrupted === true ? ', after what was cut short there' : '';
  switch (step) {
    case 'deploy': {
      const first = fetch === undefined ? '' : 'fetch, then ';
      return `${first}deploy version ${version}${previous === undefined ? '' : ` (was ${previous})`}${after}`;
    }
    case 'unchanged':
      return `unchanged: version ${version}${after}`;
    case 'handlers':
      return `run the handlers owed for version ${version}${after}`;
    case 'refused':
      return `refused: ${error?.message.split('\n')[0] ?? ''}`;
  }
}
