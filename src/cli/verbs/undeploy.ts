/** `cellar undeploy` on the command line. */
import { count } from '../render/units.ts';
import { defineVerb, required, toggle } from '../spec.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'What lay there before the first deployment comes back; changes in writable versions are lost. Directories that were made on the way to it stay.',
  ],
  args: [required('TARGET', 'A target that something is deployed to', 'deployed')],
  options: { force: toggle('Even while something runs on it'), dryRun },
  examples: [{ command: 'cellar undeploy dir:/srv/app', does: 'take it out of service and clean up' }],
  async run({ args: [target], options, context }) {
    const { undeploy } = await import('../../ops/undeploy.ts');
    const result = await undeploy(context, { target, ...options });
    const { removed, left, seenBy = [] } = result;
    const viewers = seenBy.length === 0 ? '' : ` by ${seenBy.join(', ')}`;
    const verbs = result.dryRun ? 'would remove' : 'removed';
    return {
      result: { ...result },
      lines: () => [
        `${result.target}  ${verbs} ${count(removed.length, 'version')}`,
        ...(left.length === 0
          ? []
          : [`version ${left.join(', ')} still in use${viewers}: repeat the command when that has ended`]),
      ],
      exitCode: left.length === 0 ? 0 : 3,
    };
  },
});
