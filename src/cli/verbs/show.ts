/** `cellar show` on the command line. */
import { table } from '../render/table.ts';
import { count, formatAge, formatBytes, formatCount, formatTime } from '../render/units.ts';
import { defineVerb } from '../spec.ts';
import { platform, reference } from './common.ts';

export const verb = defineVerb({
  description: [],
  args: [reference()],
  options: { platform },
  examples: [
    { command: 'cellar show debian:12', does: 'what it is, where it came from, what keeps it' },
    { command: 'cellar show debian:12 --json', does: 'the same for a program' },
  ],
  async run({ args: [name], options, context }) {
    const { show } = await import('../../ops/show.ts');
    const shown = await show(context, { reference: name, ...options });
    const { image, kind, content, provenance, created } = shown;
    const isFromOutside = provenance.via === 'pull' || provenance.via === 'import';
    const rows: readonly (readonly [string, string | undefined])[] = [
      ['references', shown.references.join(', ') || 'none'],
      ['image', image],
      [kind, content],
      ['platform', shown.platform],
      ['size', `${formatBytes(shown.bytes)} in ${count(shown.files, 'path')}`],
      ['objects', shown.objects === undefined ? undefined : formatCount(shown.objects)],
      ['stored', `${formatTime(created)} (${formatAge(created)}), by ${provenance.via}`],
      ['source', provenance.source],
      ['verified', isFromOutside ? provenance.verified : undefined],
      ['parent', provenance.parent],
      ...(provenance.parts ?? []).map(
        ({ reference: name, image: part }) => ['part', `${name}  ${part}`] as const,
      ),
      ...Object.entries(shown.labels).map(([key, value]) => ['label', `${key}=${value}`] as const),
      ['pinned', shown.pinned ? 'yes' : undefined],
      ...shown.checkouts.map((path) => ['checkout', path] as const),
      ...shown.deployments.map(
        ({ target, version, state }) => ['deployed', `${target}  version ${version}, ${state}`] as const,
      ),
    ];
    const present = rows.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
    return { result: { ...shown }, lines: () => table(present) };
  },
});
