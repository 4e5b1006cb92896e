/** `cellar plan` on the command line. */
import { shownPlan } from '../render/planned.ts';
import { defineVerb, toggle, variadic } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Asks the sources of the images that the deployments of cellar.yaml need, looks at their targets, and says what cellar apply would do; nothing is changed. The exit code is that of apply as far as it can be told: 3 where some would be refused.',
  ],
  args: [
    variadic('NAME', 'Only these deployments, groups or patterns; or NAME.KEY=VALUE, a parameter', {
      completes: 'deployment',
    }),
  ],
  options: { offline: toggle('Ask no source; deploy what the store has') },
  examples: [
    { command: 'cellar plan', does: 'all deployments of cellar.yaml' },
    { command: 'cellar plan web web.hostname=web1 --json', does: 'one, with a parameter, for programs' },
  ],
  async run({ args: [words], options, context }) {
    const { plan } = await import('../../ops/plan.ts');
    return shownPlan(await plan(context, { words, ...options }));
  },
});
