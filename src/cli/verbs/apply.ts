/** `cellar apply` on the command line. */
import type { AppliedDeployment } from '../../ops/apply.ts';
import { reported } from '../render/applied.ts';
import { shownPlan } from '../render/planned.ts';
import { formatBytes, formatElapsed } from '../render/units.ts';
import { defineVerb, toggle, variadic } from '../spec.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'Does exactly what cellar plan shows: fetches the images that are due or missing, then deploys one after the other, in the order of cellar.yaml. One that fails does not stop the others; the exit code is 3 then, or that of the first failure when nothing worked.',
    'Parameters are those of deploy-defaults, outdone by those of the deployment, by CELLAR_SET_<NAME>_<KEY> of the environment, and by NAME.KEY=VALUE.',
  ],
  args: [
    variadic('NAME', 'Only these deployments, groups or patterns; or NAME.KEY=VALUE, a parameter', {
      completes: 'deployment',
    }),
  ],
  options: { offline: toggle('Ask no source; deploy what the store has'), dryRun },
  examples: [
    { command: 'cellar apply', does: 'all deployments of cellar.yaml' },
    { command: 'cellar apply web web.hostname=web1', does: 'one of them, with a parameter' },
  ],
  async run({ args: [words], options: { offline, dryRun: isDry }, context }) {
    const { plan } = await import('../../ops/plan.ts');
    const planned = await plan(context, { words, offline });
    if (isDry) return shownPlan(planned);
    const { applyPlan } = await import('../../ops/apply.ts');
    const { images, deployments, failed, transferred, elapsedMs } = await applyPlan(context, planned);
    const deployed = deployments.filter(({ outcome }) => outcome === 'deployed').length;
    return reported({
      ...{ images, deployments, say },
      facts: { failed, transferred, elapsedMs, dryRun: false },
      total: [
        `${deployed} deployed`,
        `${deployments.length - deployed - failed} unchanged`,
        ...(failed === 0 ? [] : [`${failed} failed`]),
        `${formatBytes(transferred)} transferred`,
        formatElapsed(elapsedMs),
      ],
    });
  },
});

function say({ outcome, version, previous, error }: AppliedDeployment): string {
  switch (outcome) {
    case 'deployed':
      return `deployed: version ${version}${previous === undefined ? '' : ` (was ${previous})`}`;
    case 'unchanged':
      return `unchanged: version ${version}`;
    case 'handlers':
      return `handlers run: version ${version}`;
    case 'failed':
      return `failed: ${error?.message.split('\n')[0] ?? ''}`;
  }
}
