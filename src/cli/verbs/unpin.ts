/** `cellar unpin` on the command line. */
import { defineVerb, required } from '../spec.ts';

export const verb = defineVerb({
  description: ['The reference stays; its older history is then kept only as far as gc keeps any.'],
  args: [required('REF', 'The reference', 'reference')],
  options: {},
  examples: [{ command: 'cellar unpin debian:12', does: 'let gc and rm have it again' }],
  async run({ args: [reference], context }) {
    const { unpin } = await import('../../ops/pin.ts');
    const result = await unpin(context, { reference });
    return { result: { ...result }, lines: () => [`${result.reference}  not pinned`] };
  },
});
