/** `cellar upgrade` on the command line. */
import { short } from '../render/facts.ts';
import { count, formatElapsed } from '../render/units.ts';
import { choice, defineVerb, optional, required, text, toggle } from '../spec.ts';
import { number } from '../values.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'A machine, a container or a directory that was deployed writable moves to a newer base: what only it changed stays, what only the base changed comes in. The result is the next version, put in service in one step; the version before stays for cellar rollback.',
    'A path that both changed is a conflict, however the two changes look, unless one changed only its time: all are listed, nothing is touched, and --take decides them.',
    'What runs there is stopped before its last changes are read. Where nobody can tell whether something runs (dir:), --stop is run twice: before that, and before the switch.',
  ],
  args: [
    required('TARGET', 'A target that something is deployed to, writable', 'deployed'),
    optional('REF', 'The newer base (default: the reference it was deployed from)', 'reference'),
  ],
  options: {
    take: choice(['mine', 'next'], 'Decide conflicts: as the target has it, or as the newer base has it'),
    keep: number('N', 'Earlier versions to keep (default 2)'),
    stop: text('CMD', 'Stop what runs on the target before the switch (default: as it was deployed)'),
    start: text('CMD', 'Start it again afterwards (default: as it was deployed)'),
    offline: toggle('Fetch nothing that the store lacks'),
    dryRun,
  },
  examples: [
    { command: 'cellar upgrade machine:web', does: 'to what its reference names now' },
    { command: 'cellar upgrade machine:web debian:13 --take mine', does: 'its own changes come first' },
  ],
  async run({ args: [target, reference], options, context }) {
    const { upgrade } = await import('../../ops/upgrade.ts');
    const result = await upgrade(context, { target, reference, ...options });
    const { change, version, previous, kept, decided, tree, elapsedMs } = result;
    const what = result.dryRun && change === 'upgraded' ? 'would upgrade' : change;
    const detail = [
      result.reference,
      ...(tree === undefined ? [] : [`tree ${short(tree)}`]),
      ...(kept === undefined ? [] : [`${count(kept, 'path')} of its own`]),
      ...(decided === undefined || decided === 0 ? [] : [`${count(decided, 'conflict')} decided`]),
      ...(previous === undefined || options.keep === 0 ? [] : [`version ${previous} is kept`]),
      formatElapsed(elapsedMs),
    ];
    return {
      result: { ...result },
      lines: (style) => [`${result.target}  ${style.bold(`${what}: version ${version}`)}`, detail.join(', ')],
    };
  },
});
