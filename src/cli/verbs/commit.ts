/** `cellar commit` on the command line. */
import { storedLines } from '../render/facts.ts';
import { defineVerb, list, required, text } from '../spec.ts';
import { labels } from '../values.ts';
import { dryRun, newReference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Of a checkout only what changed is read; of any other directory, everything. What this user could not set when the tree was checked out (owners, devices) is taken from the image for paths that did not change.',
  ],
  args: [
    required(
      'DIR',
      'A changed checkout, any directory, or a target such as machine:web1',
      'directory-or-target',
    ),
    newReference(),
  ],
  options: {
    label: labels(),
    platform: text(
      'OS/ARCH',
      'The platform the image is for (default: that of what was checked out, else this machine)',
    ),
    exclude: list('GLOB', 'Leave out matching paths; may be given several times'),
    dryRun,
  },
  examples: [
    { command: 'cellar commit /srv/web1 web:2', does: 'store the changes made there as web:2' },
    { command: 'cellar commit lxc:web1 web:2', does: 'a container as it is, running or not' },
  ],
  async run({ args: [directory, name], options: { label, ...options }, context }) {
    const { commit } = await import('../../ops/commit.ts');
    const result = await commit(context, { directory, reference: name, labels: label, ...options });
    return { result: { ...result }, lines: () => storedLines(result) };
  },
});
