/** `cellar pin` on the command line. */
import { defineVerb, required } from '../spec.ts';

export const verb = defineVerb({
  description: ['gc keeps what the reference names and everything it named before; rm refuses it.'],
  args: [required('REF', 'The reference', 'reference')],
  options: {},
  examples: [{ command: 'cellar pin debian:12', does: 'keep every version of it' }],
  async run({ args: [reference], context }) {
    const { pin } = await import('../../ops/pin.ts');
    const result = await pin(context, { reference });
    return { result: { ...result }, lines: () => [`${result.reference}  pinned`] };
  },
});
