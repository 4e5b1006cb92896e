/** `cellar gc` on the command line. */
import { count, formatAge, formatBytes } from '../render/units.ts';
import { defineVerb } from '../spec.ts';
import { bytes, duration, number } from '../values.ts';
import { dryRun } from './common.ts';

export const verb = defineVerb({
  description: [
    'Kept is what references and their history, pins, checkouts, deployments and running commands use, and what became garbage less than the grace period ago. All else goes, also copies that no hard link uses and what broken-off transfers left.',
    'With --max-size, or max-size in cellar.yaml, pulled images go besides until the store takes no more than that; where this cannot be reached none goes, and the command fails (E_STORE_FULL).',
  ],
  args: [],
  options: {
    dryRun,
    grace: duration('Keep what is younger than this (default 1h)'),
    keepHistory: number('N', 'Keep this many earlier values of each reference (default 10)'),
    maxSize: bytes(
      'Most that the store may take; earlier versions of pulled images go first, then the least recently used',
    ),
  },
  examples: [
    { command: 'cellar gc --dry-run', does: 'what would go' },
    { command: 'cellar gc --keep-history 2 --grace 0', does: 'keep two earlier versions, wait for nothing' },
  ],
  async run({ options, context }) {
    const { gc } = await import('../../ops/gc.ts');
    const result = await gc(context, options);
    const { images, trees, objects, bytes: freed, young, evicted } = result;
    const verbs = result.dryRun ? 'would remove' : 'removed';
    return {
      result: { ...result },
      lines: () => [
        `${verbs} ${count(images, 'image')}, ${count(trees, 'tree')} and ${count(objects, 'object')}: ${formatBytes(freed)}`,
        ...evicted.map(({ reference, isEarlier, lastUsed, bytes: held }) => {
          const name = isEarlier ? `an earlier version of ${reference}` : reference;
          return `${verbs} ${name}, last used ${formatAge(lastUsed)}: ${formatBytes(held)}`;
        }),
        ...(young.images + young.objects === 0
          ? []
          : [
              `kept for the grace period: ${count(young.images, 'image')}, ${count(young.objects, 'object')} (${formatBytes(young.bytes)}); --grace 0 waits for nothing`,
            ]),
      ],
    };
  },
});
