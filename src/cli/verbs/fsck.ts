/** `cellar fsck` on the command line. */
import { short } from '../render/facts.ts';
import { count, formatBytes } from '../render/units.ts';
import { defineVerb, text, toggle } from '../spec.ts';
import { usage } from '../usage.ts';

export const verb = defineVerb({
  description: [
    'Hashes every object, manifest and derived image, checks every row of the database and the metadata of every inode, and names the images that damage affects. Exit code 12 when damage is left.',
    '--repair derives again what can be derived and fetches only the damaged objects from where the image came from, or from --from.',
  ],
  args: [],
  options: {
    repair: toggle('Mend what can be mended'),
    from: text('SRC', 'Take good copies from this archive, directory or other store', 'file'),
  },
  examples: [
    { command: 'cellar fsck', does: 'check everything' },
    { command: 'cellar fsck --repair --from /mnt/backup/cellar', does: 'mend from a copy of the store' },
  ],
  async run({ options, context }) {
    if (options.from !== undefined && !options.repair) throw usage('--from is only used with --repair');
    const { fsck } = await import('../../ops/fsck.ts');
    const result = await fsck(context, options);
    const { checked, damaged, repaired } = result;
    const left = damaged.length - repaired;
    return {
      result: { ...result },
      exitCode: left === 0 ? 0 : 12,
      lines: (style) => [
        `checked ${count(checked.rows, 'row')}, ${count(checked.trees, 'tree')}, ${count(checked.objects, 'object')} (${formatBytes(checked.bytes)})`,
        ...damaged.map(({ kind, id, problem, images, repaired: whole }) => {
          const state = whole ? style.green('mended') : style.red('damaged');
          const name = /^[0-9a-f]{64}$/.test(id) ? short(id) : id;
          const affects = images.length === 0 ? '' : `; affects ${named(images)}`;
          return `${state} ${kind} ${name}: ${problem}${affects}`;
        }),
        damaged.length === 0
          ? style.green('no damage')
          : `${damaged.length} damaged, ${repaired} mended, ${left} left`,
      ],
    };
  },
});

const mostNamed = 8;

/** Those that have a name first; JSON has all of them, and in full. */
function named(images: readonly string[]): string {
  const digest = /^[0-9a-f]{64}$/;
  const [nameless, references] = [true, false].map((is) => images.filter((one) => digest.test(one) === is));
  const shown = [...references!, ...nameless!.map(short)];
  const more = shown.length - mostNamed;
  return shown.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
