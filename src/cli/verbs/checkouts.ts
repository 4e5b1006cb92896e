/** `cellar checkouts` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatAge, formatBytes } from '../render/units.ts';
import { defineVerb } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'A checkout is ready, unmounted (cellar mount --all brings it back), missing (its directory is gone or another) or releasing (some process still sees it).',
  ],
  args: [],
  options: {},
  examples: [{ command: 'cellar checkouts', does: 'what is checked out, how, and what its changes take' }],
  async run({ context }) {
    const { checkouts } = await import('../../ops/checkouts.ts');
    const found = await checkouts(context);
    const rows = found.map(({ path, reference, tree, method, writable, state, created, upperBytes }) => [
      path,
      reference ?? short(tree),
      `${method}${writable ? ', writable' : ''}`,
      upperBytes === undefined ? '' : formatBytes(upperBytes),
      formatAge(created),
      state,
    ]);
    const head = ['DIRECTORY', 'IMAGE', 'METHOD', 'CHANGES', 'MADE', 'STATE'];
    const lines = (): string[] => (rows.length === 0 ? [] : table(rows, { head, right: [3] }));
    return { result: { checkouts: found }, lines };
  },
});
