/** `cellar ls` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatAge, formatBytes, formatCount } from '../render/units.ts';
import { defineVerb, toggle } from '../spec.ts';

export const verb = defineVerb({
  description: [],
  args: [],
  options: { all: toggle('Also images that no reference names any more', 'a') },
  examples: [{ command: 'cellar ls', does: 'what the store holds' }],
  async run({ options, context }) {
    const { ls } = await import('../../ops/ls.ts');
    const { images } = await ls(context, options);
    const rows = images.map((listed) => {
      const { reference, platform, kind, image, files, bytes, updated, created, pinned, verified } = listed;
      return [
        reference ?? '-',
        platform,
        kind,
        short(image),
        formatCount(files),
        formatBytes(bytes),
        formatAge(updated ?? created),
        verified ?? '-',
        pinned ? 'pinned' : '',
      ];
    });
    const head = ['REFERENCE', 'PLATFORM', 'KIND', 'IMAGE', 'PATHS', 'SIZE', 'CHANGED', 'VERIFIED', ''];
    const lines = (): string[] => (rows.length === 0 ? [] : table(rows, { head, right: [4, 5] }));
    return { result: { images }, lines };
  },
});
