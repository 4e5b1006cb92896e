/** `cellar __complete -- WORD...`: what could stand for the last word. Asked by the completion scripts at each Tab. */
import { complete } from '../complete.ts';
import { defineVerb, optional } from '../spec.ts';

/** Words arrive as one argument, joined by line feeds, which no shell word of a command line holds in practice. */
export const verb = defineVerb({
  description: [],
  args: [optional('WORDS', 'The words after cellar, one a line; the last is being typed')],
  options: {},
  examples: [{ command: "cellar __complete 'checko'", does: 'what the shell asks' }],
  async run({ args: [words = ''], context }) {
    const candidates = await complete(words.split('\n'), { store: context.storeRoot });
    return {
      result: { candidates },
      lines: () => candidates.map(({ value, summary }) => (summary === '' ? value : `${value}\t${summary}`)),
    };
  },
});
