/** `cellar mount` on the command line. */
import { table } from '../render/table.ts';
import { defineVerb, optional, toggle } from '../spec.ts';
import { usage } from '../usage.ts';

export const verb = defineVerb({
  description: [
    'Checkouts that are mounts go with a reboot; this brings them back with their changes. Those that are mounted already stay as they are, and one that fails does not stop the others (exit code 3 then).',
  ],
  args: [optional('DIR', 'Only this checkout', 'checkout')],
  options: { all: toggle('All checkouts of the store', 'a') },
  examples: [{ command: 'cellar mount --all', does: 'after a reboot' }],
  async run({ args: [directory], options: { all }, context }) {
    if (all === (directory !== undefined)) throw usage('name one checkout, or give --all');
    const { mount } = await import('../../ops/mount.ts');
    const result = await mount(context, { directory });
    const rows = result.mounts.map(({ path, method, status, problem }) => [
      path,
      method,
      problem ?? (status === 'already' ? 'mounted already' : status),
    ]);
    const code = result.failed === 0 ? 0 : result.failed === result.mounts.length ? 1 : 3;
    return { result: { ...result }, lines: () => table(rows), exitCode: code };
  },
});
