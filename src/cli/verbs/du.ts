/** `cellar du` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatBytes } from '../render/units.ts';
import { defineVerb } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Of each image: the bytes of its files; those that no other content has, which are free once the last image of this content is removed; and those it shares. Of the store: what all images hold, and what it takes on disk, but for a reserve of 1 MiB that is given up when the disk is full.',
  ],
  args: [],
  options: {},
  examples: [{ command: 'cellar du', does: 'what each image costs' }],
  async run({ context }) {
    const { du } = await import('../../ops/du.ts');
    const usage = await du(context);
    const { images, logicalBytes, storedBytes, parts, checkouts } = usage;
    const rows = images.map(({ references, image, bytes, unique, shared }) => [
      references.join(', ') || short(image),
      ...[bytes, unique, shared].map(formatBytes),
    ]);
    const named = Object.entries(parts).map(([part, size]) => `${part} ${formatBytes(size)}`);
    return {
      result: { ...usage },
      lines: (style) => [
        ...(rows.length === 0
          ? []
          : table(rows, { head: ['IMAGE', 'SIZE', 'UNIQUE', 'SHARED'], right: [1, 2, 3] })),
        `${style.bold(formatBytes(storedBytes))} on disk hold ${formatBytes(logicalBytes)} of images (${named.join(', ')})`,
        ...(checkouts === 0 ? [] : [`changes in writable checkouts take ${formatBytes(checkouts)} besides`]),
      ],
    };
  },
});
