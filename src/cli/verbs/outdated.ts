/** `cellar outdated` on the command line. */
import { table } from '../render/table.ts';
import { formatAge } from '../render/units.ts';
import { defineVerb, toggle } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Of images with a source, in cellar.yaml or on record: stale (not asked for longer than refresh, or upstream was down), expired, unverifiable (what upstream offers was refused), gone (upstream withdrew it), unknown (never fetched). Asks no source; cellar sync --check does.',
  ],
  args: [],
  options: { all: toggle('Also what is fresh', 'a') },
  examples: [{ command: 'cellar outdated', does: 'what wants attention' }],
  async run({ options, context }) {
    const { outdated } = await import('../../ops/outdated.ts');
    const result = await outdated(context, options);
    const rows = result.images.map(({ reference, state, checked, verified, problem, source }) => [
      reference,
      state,
      checked === undefined ? 'never' : formatAge(checked),
      verified ?? '-',
      problem?.code ?? '',
      source,
    ]);
    const head = ['REFERENCE', 'STATE', 'CHECKED', 'VERIFIED', 'PROBLEM', 'SOURCE'];
    return {
      result: { ...result },
      lines: () => (rows.length === 0 ? ['all fresh'] : table(rows, { head })),
    };
  },
});
