/** `cellar doctor` on the command line. */
import { defineVerb } from '../spec.ts';

export const verb = defineVerb({
  description: [
    'Tries what checkouts can use here and checks the store, the clock and the programs that some formats need. Each finding says what to do about it. Exit code 1 when one is a failure.',
  ],
  args: [],
  options: {},
  examples: [{ command: 'cellar doctor', does: 'what works here, and what to do about the rest' }],
  async run({ context }) {
    const { doctor } = await import('../../ops/doctor.ts');
    const result = await doctor(context);
    return {
      result: { ...result },
      exitCode: result.failed === 0 ? 0 : 1,
      lines: (style) =>
        result.findings.flatMap(({ title, status, detail, fix }) => {
          const mark = { pass: style.green('pass'), warn: style.yellow('warn'), fail: style.red('FAIL') }[
            status
          ];
          return [`${mark}  ${title}: ${detail}`, ...(fix === undefined ? [] : [style.dim(`      ${fix}`)])];
        }),
    };
  },
});
