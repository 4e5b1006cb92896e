/** `cellar targets` on the command line. */
import { table } from '../render/table.ts';
import { formatBytes } from '../render/units.ts';
import { defineVerb, toggle } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Machines of systemd-nspawn, LXC containers, and whatever else is deployed here; also those that no deployment made, which have no version. Sizes are what each takes for itself: its changes, where its base is shared.',
  ],
  args: [],
  options: { noSize: toggle('Do not measure: directories that others made are counted file by file') },
  examples: [{ command: 'cellar targets', does: 'what is here, whether it runs, and which image it is' }],
  async run({ options: { noSize }, context }) {
    const { targets } = await import('../../ops/targets.ts');
    const found = await targets(context, { size: !noSize });
    const rows = found.map(({ name, state, bytes, version, reference }) => [
      name,
      state,
      bytes === undefined ? '' : formatBytes(bytes),
      version === undefined ? '' : String(version),
      reference ?? '',
    ]);
    const head = ['TARGET', 'STATE', 'SIZE', 'VERSION', 'REFERENCE'];
    const lines = (): string[] => (rows.length === 0 ? [] : table(rows, { head, right: [2, 3] }));
    return { result: { targets: found.map((one) => ({ target: one.name, ...one })) }, lines };
  },
});
