/** `cellar deployments` on the command line. */
import type { ListedDeployment } from '../../ops/deployments.ts';
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatAge } from '../render/units.ts';
import { defineVerb, optional } from '../spec.ts';

export const verb = defineVerb({
  description: [],
  args: [optional('TARGET', 'Only this one', 'deployed')],
  options: {},
  examples: [
    { command: 'cellar deployments', does: 'what is in service where, and what can be gone back to' },
  ],
  async run({ args: [target], context }) {
    const { deployments } = await import('../../ops/deployments.ts');
    const result = await deployments(context, { target });
    const rows = result.deployments.map((row) => [
      row.target,
      String(row.version),
      row.state,
      row.reference,
      short(row.content),
      row.activated === undefined ? '' : formatAge(row.activated),
      problemOf(row),
    ]);
    const problem = rows.some((row) => row.at(-1) !== '') ? 'PROBLEM' : '';
    const head = ['TARGET', 'VERSION', 'STATE', 'REFERENCE', 'CONTENT', 'ACTIVATED', problem];
    return {
      result: { ...result },
      lines: () => (rows.length === 0 ? [] : table(rows, { head, right: [1] })),
    };
  },
});

/** In one line, without what the row says already. */
function problemOf({ owed, problem = '', version, target }: ListedDeployment): string {
  if (owed) return 'handlers owed';
  const [line = ''] = problem.split('\n');
  const known = `version ${version} of ${target}: `;
  return line.startsWith(known) ? line.slice(known.length) : line;
}
