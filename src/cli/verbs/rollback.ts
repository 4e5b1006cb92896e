/** `cellar rollback` on the command line. */
import { defineVerb, optional, required, text } from '../spec.ts';
import { usage } from '../usage.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: ['Without VERSION, the newest kept one that is older than what is in service.'],
  args: [
    required('TARGET', 'A target that something is deployed to', 'deployed'),
    optional('VERSION', "A number that 'cellar deployments' prints", 'version'),
  ],
  options: {
    stop: text('CMD', 'Stop what runs on the target before the switch (default: as it was deployed)'),
    start: text('CMD', 'Start it again afterwards (default: as it was deployed)'),
    dryRun,
  },
  examples: [
    { command: 'cellar rollback dir:/openstack/venvs/nova', does: 'back to the version before' },
    { command: 'cellar rollback dir:/openstack/venvs/nova 3', does: 'to that version' },
  ],
  async run({ args: [target, version], options, context }) {
    const { rollback } = await import('../../ops/rollback.ts');
    if (version !== undefined && !/^\d{1,9}$/.test(version))
      throw usage(`'${version}' is not a version number`);
    const result = await rollback(context, {
      target,
      version: version === undefined ? undefined : Number(version),
      ...options,
    });
    const verbs =
      result.change === 'unchanged' ? 'stays at' : result.dryRun ? 'would switch to' : 'switched to';
    const from = result.previous === undefined ? '' : ` (was ${result.previous})`;
    return {
      result: { ...result },
      lines: () => [`${result.target}  ${verbs} version ${result.version}, ${result.reference}${from}`],
    };
  },
});
