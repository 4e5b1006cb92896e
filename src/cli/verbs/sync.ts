/** `cellar sync` on the command line. */
import type { SyncedImage } from '../../ops/sync.ts';
import { table } from '../render/table.ts';
import { count, formatBytes, formatElapsed } from '../render/units.ts';
import { defineVerb, toggle, variadic } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Asks upstream for each image of cellar.yaml whose refresh time has passed, and transfers what changed, verified. One that fails does not stop the others; the exit code is 3 then, or that of the first failure when nothing worked.',
    'Afterwards cellar.lock, beside cellar.yaml, names the exact content of every image; --locked reproduces it elsewhere.',
  ],
  args: [variadic('NAME', 'Only these images, groups or patterns of cellar.yaml', { completes: 'image' })],
  options: {
    check: toggle('Ask, and say what would change', 'n'),
    dryRun: toggle('The same as --check'),
    force: toggle('Also what is not due yet'),
    onlyCached: toggle('Ask no source; fail where the store lacks an image'),
    locked: toggle('Exactly the content that cellar.lock names'),
  },
  examples: [
    { command: 'cellar sync', does: 'what is due' },
    { command: 'cellar sync base --check', does: 'what would change in the group base' },
    { command: 'cellar sync --locked', does: 'the very images that another machine has' },
  ],
  async run({ args: [names], options: { dryRun, ...options }, context }) {
    const { sync } = await import('../../ops/sync.ts');
    const result = await sync(context, { names, ...options, check: options.check || dryRun });
    const { images, failed, stale, transferred, elapsedMs } = result;
    const rows = images.map(row);
    const total = [
      count(images.length, 'image'),
      ...(failed === 0 ? [] : [`${failed} failed`]),
      ...(stale === 0 ? [] : [`${stale} stale`]),
      `${formatBytes(transferred)} transferred`,
      formatElapsed(elapsedMs),
    ];
    return {
      result: {
        ...result,
        dryRun: result.check,
        images: images.map(({ error, ...rest }) => ({ ...rest, error: error?.toJSON() })),
      },
      lines: (style) => [
        ...(rows.length === 0 ? [] : table(rows, { head: ['REFERENCE', 'OUTCOME', 'STATE', 'SOURCE'] })),
        style.bold(total.join(', ')),
      ],
      exitCode: exitCode(images),
    };
  },
});

function row({ reference, outcome, state, source }: SyncedImage): string[] {
  return [reference, outcome, state, source];
}

/** Nothing worked: the code of the first failure. Some did: 3. */
function exitCode(images: readonly SyncedImage[]): number {
  const bad = images.filter(({ outcome }) => outcome === 'failed' || outcome === 'stale');
  if (bad.length === 0) return 0;
  const isAll = bad.length === images.length && bad.every(({ outcome }) => outcome === 'failed');
  return isAll ? (bad[0]?.error?.exitCode ?? 3) : 3;
}
