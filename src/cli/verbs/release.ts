/** `cellar release` on the command line. */
import { defineVerb, required, toggle } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Unmounts or removes it, and lets gc have what only it kept. Changes that were not committed are not thrown away without --force. While another mount namespace (a container) still sees it the tree stays protected; release it again later.',
  ],
  args: [required('DIR', 'The checkout', 'releasable')],
  options: {
    force: toggle('Throw away changes, detach what is in use, forget a directory that was replaced', 'f'),
  },
  examples: [
    { command: 'cellar release /srv/web1', does: 'take a checkout away' },
    { command: 'cellar release /srv/web1 --force', does: 'and its changes with it' },
  ],
  async run({ args: [directory], options, context }) {
    const { release } = await import('../../ops/release.ts');
    const result = await release(context, { directory, ...options });
    const state = result.released
      ? 'released'
      : `unmounted here, and still seen by ${result.seenBy?.join(', ')}: its tree stays; release it again later`;
    return { result: { ...result }, lines: () => [`${result.path}  ${state}`] };
  },
});
