/** `cellar compose` on the command line. */
import { short } from '../render/facts.ts';
import { count, formatBytes } from '../render/units.ts';
import { choice, defineVerb, list, text, toggle, variadic } from '../spec.ts';
import { labels } from '../values.ts';
import { dryRun, newReference } from './common.ts';

export const verb = defineVerb({
  description: [
    'An ordered union of file trees, put together by reference: no file content is copied. Directories are united; files that differ in more than their time are conflicts, listed all at once, or decided by --on-conflict. What an image was composed of is kept with it (cellar provenance).',
    '--split routes the files of the result to artifacts by ordered rules, the first that matches, and writes REF-ARTIFACT for each. With --artifact only those artifacts of every part go into REF.',
  ],
  args: [newReference(), variadic('FROM', 'The parts, in order', { required: true })],
  options: {
    onConflict: choice(['error', 'first', 'last'], 'Which part has a path that differs (default error)'),
    devices: list(
      'FILE',
      'Add the devices listed in a YAML or JSON file; may be given several times',
      'file',
    ),
    split: text('FILE', 'Rules in YAML or JSON: a list of {artifact, include: [REGEX]}', 'file'),
    artifact: list('NAME', 'Only this artifact of each part; may be given several times'),
    integrate: text('DIR', 'Run the scripts of this directory of the composed tree in it, by name'),
    label: labels(),
    platform: text('OS/ARCH', 'The platform of the parts and of the image'),
    offline: toggle('Fetch no part that the store lacks'),
    dryRun,
  },
  examples: [
    { command: 'cellar compose system:1 base:1 web:7 site:3', does: 'one tree of three' },
    {
      command: 'cellar compose --split rules.yaml web:7 web-build:7',
      does: 'web-runtime:7, web-devel:7, as the rules have it',
    },
    {
      command: 'cellar compose --split rules.yaml --artifact runtime system:1 base:1 web:7',
      does: 'a system without headers',
    },
  ],
  async run({ args: [name, from], options: { artifact, label, ...options }, context }) {
    const { compose } = await import('../../ops/compose.ts');
    const result = await compose(context, {
      reference: name,
      from,
      artifacts: artifact,
      labels: label,
      ...options,
    });
    const { images, conflicts, unmatched, overlaps } = result;
    return {
      result: { ...result },
      lines: (style) => [
        ...images.map(({ reference, image, tree, files, bytes }) => {
          const done = image === undefined ? `would store ${reference}` : `${reference}  ${short(image)}`;
          return `${style.bold(done)}  ${count(files, 'path')}, ${formatBytes(bytes)}; tree ${short(tree)}`;
        }),
        ...conflicts.map(({ path, parts }) => `decided: ${path} (${parts.join(', ')})`),
        ...overlaps.map(
          ({ artifacts: [first, ...others], paths }) =>
            `overlap: ${first} has ${shown(paths)}, which ${others.join(', ')} would have too`,
        ),
        ...(unmatched.length === 0 ? [] : [`in no artifact: ${shown(unmatched)}`]),
      ],
    };
  },
});

function shown(paths: readonly string[]): string {
  const most = 5;
  const rest = paths.length > most ? ` and ${paths.length - most} more` : '';
  return paths.slice(0, most).join(', ') + rest;
}
