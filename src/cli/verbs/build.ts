/** `cellar build` on the command line. */
import { short } from '../render/facts.ts';
import { count, formatBytes, formatElapsed } from '../render/units.ts';
import { defineVerb, optional, text, toggle, type OptionSpec } from '../spec.ts';
import { duration, labels, number, settings } from '../values.ts';
import { usage } from '../usage.ts';
import { dryRun } from './common.ts';

const recipeFile: OptionSpec<string | undefined> = {
  ...text('FILE', 'The recipe, in YAML', 'file'),
  short: 'f',
};

export const verb = defineVerb({
  description: [
    'A recipe names a base (or a command that makes one), files, packages, commands, identity to scrub and what to configure. The work is done in a private copy that nobody sees before all of it succeeded; commands run in a chroot with mounts and processes of their own, which needs root.',
    'The same base, recipe and files are built once; after that only the reference is set. With --clock they come to the same tree again, where the commands allow it.',
  ],
  args: [optional('REF', 'The reference to set (default: reference: in the recipe)', 'reference')],
  options: {
    file: recipeFile,
    set: { ...settings(), summary: 'A variable of the recipe; may be given several times' },
    clock: number('EPOCH', 'Pin the time: SOURCE_DATE_EPOCH, and the newest time in the tree'),
    reproduce: toggle('Build a second time and report what differs'),
    force: toggle('Build again though nothing changed'),
    timeout: duration('End commands that take longer, together (default 20m; 0 is never)'),
    log: text('PATH', 'Write what commands say there (default: in the store)', 'file'),
    label: labels(),
    platform: text(
      'OS/ARCH',
      "The platform of the base and of the image (default: the recipe's, else the base's)",
    ),
    offline: toggle('Fetch no base that the store lacks'),
    dryRun,
  },
  examples: [
    { command: 'cellar build -f web.yaml web:2', does: 'an image by a recipe' },
    {
      command: 'cellar build -f web.yaml --set hostname=web7 web7:2',
      does: 'for one machine',
    },
    {
      command: 'cellar build -f web.yaml web:2 --clock 1767225600 --reproduce',
      does: 'the same tree each time? else what differs',
    },
  ],
  async run({ args: [reference], options: { file, set, label, ...options }, context }) {
    if (file === undefined) throw usage('--file is needed: the recipe', 'cellar build -f RECIPE REF');
    const { build } = await import('../../ops/build.ts');
    const result = await build(context, {
      ...options,
      recipe: file,
      reference,
      settings: set,
      labels: label,
    });
    const { change, image, files = 0, bytes = 0, differences, log, elapsedMs } = result;
    const what = result.dryRun && change === 'built' ? 'would be built' : change;
    return {
      result: { ...result },
      lines: (style) => [
        `${style.bold(result.reference)}  ${image === undefined ? '' : `${short(image)}  `}${what}`,
        ...(image === undefined
          ? []
          : [`${count(files, 'path')}, ${formatBytes(bytes)}; ${formatElapsed(elapsedMs)}`]),
        ...(log === undefined ? [] : [style.dim(`log ${log}`)]),
        ...(differences === undefined ? [] : differing(differences)),
      ],
      ...(differences === undefined || differences.length === 0 ? {} : { exitCode: 1 }),
    };
  },
});

function differing(differences: readonly { path: string; changed: readonly string[] }[]): string[] {
  if (differences.length === 0) return ['a second build came to the same tree'];
  return [
    `a second build differs in ${count(differences.length, 'path')}:`,
    ...differences.map(({ path, changed }) => `  ${path}  ${changed.join(', ')}`),
  ];
}
