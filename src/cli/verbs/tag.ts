/** `cellar tag` on the command line. */
import { short } from '../render/facts.ts';
import { table } from '../render/table.ts';
import { defineVerb, required, text } from '../spec.ts';
import { reference } from './common.ts';

export const verb = defineVerb({
  description: [
    'Where REF is a reference, NEW gets all its platforms. If NEW named something else before, that becomes NEW@{1}.',
  ],
  args: [reference(), required('NEW', 'The reference to set', 'reference')],
  options: { platform: text('OS/ARCH', 'Only this platform') },
  examples: [
    { command: 'cellar tag debian:12 debian:stable', does: 'a second name' },
    { command: 'cellar tag app:live@{1} app:live', does: 'back to the version before' },
  ],
  async run({ args: [name, newReference], options, context }) {
    const { tag } = await import('../../ops/tag.ts');
    const result = await tag(context, { reference: name, newReference, ...options });
    const rows = result.images.map(({ platform, image }) => [result.reference, platform, short(image)]);
    return { result: { ...result }, lines: () => table(rows) };
  },
});
