/** `cellar checkouts` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatAge, formatBytes } from '../render/units.ts';
import { defineVerb } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'A checkout is ready, unmounted (cellar mount --all brings it back), missing (its directory is gone or another) or releasing (some process still sees it). A version of a deployment is named with its target, and goes with cellar undeploy.',
  ],
  args: [],
  options: {},
  examples: [{ command: 'cellar checkouts', does: 'what is checked out, how, and what its changes take' }],
  async run({ context }) {
    const { checkouts } = await import('../../ops/checkouts.ts');
    const found = await checkouts(context);
    const rows = found.map(({ path, reference, tree, method, writable, created, upperBytes, ...one }) => [
      path,
      reference ?? short(tree),
      `${method}${writable ? ', writable' : ''}`,
      upperBytes === undefined ? '' : formatBytes(upperBytes),
      formatAge(created),
      one.deployment === undefined ? one.state : `${one.state}, of ${one.deployment}`,
    ]);
    const head = ['DIRECTORY', 'IMAGE', 'METHOD', 'CHANGES', 'MADE', 'STATE'];
    const lines = (): string[] => (rows.length === 0 ? [] : table(rows, { head, right: [3] }));
    return { result: { checkouts: found }, lines };
  },
});
