/** `cellar history` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { formatBytes, formatTime } from '../render/units.ts';
import { defineVerb, required, text } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Newest first. The names in the first column work wherever an image is named: REF@{1} is what REF named before. History outlives the reference until gc takes the images; gc --keep-history says how many stay.',
  ],
  args: [required('REF', 'The reference', 'reference')],
  options: { platform: text('OS/ARCH', 'Only this platform') },
  examples: [
    { command: 'cellar history debian:12', does: 'what it named before' },
    { command: 'cellar tag debian:12@{1} debian:12', does: 'and back to that' },
  ],
  async run({ args: [name], options, context }) {
    const { history } = await import('../../ops/history.ts');
    const result = await history(context, { reference: name, ...options });
    const rows = result.history.map(({ name: value, platform, at, action, image, bytes }) => [
      value ?? '-',
      platform,
      formatTime(at),
      action,
      image === undefined ? '' : short(image),
      bytes === undefined ? (image === undefined ? '' : 'collected') : formatBytes(bytes),
    ]);
    const head = ['NAME', 'PLATFORM', 'AT', 'BY', 'IMAGE', 'SIZE'];
    return { result: { ...result }, lines: () => table(rows, { head, right: [5] }) };
  },
});
