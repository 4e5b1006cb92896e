/** `cellar rm` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { defineVerb, required, text } from '../spec.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'Checkouts of it go on. Its space is freed by gc, once the grace period is over and if nothing else needs it. A pinned reference has to be unpinned first.',
  ],
  args: [required('REF', 'The reference to remove', 'reference')],
  options: { platform: text('OS/ARCH', 'Only this platform'), dryRun },
  examples: [
    { command: 'cellar rm debian:11 && cellar gc --grace 0', does: 'remove a version and free its space' },
  ],
  async run({ args: [name], options, context }) {
    const { rm } = await import('../../ops/rm.ts');
    const result = await rm(context, { reference: name, ...options });
    const state = result.dryRun ? 'would be removed' : 'removed';
    const rows = result.removed.map((each) => [each.reference, each.platform, short(each.image), state]);
    return { result: { ...result }, lines: () => table(rows) };
  },
});
