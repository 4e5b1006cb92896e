/** `cellar version`. Alone, `cellar --version` is answered in main.ts before anything is loaded. */
import { defineVerb } from '../spec.ts';
import { version } from '../version.ts';

export const verb = defineVerb({
  description: [],
  args: [],
  options: {},
  examples: [{ command: 'cellar version --json', does: 'the version, and that of the runtime' }],
  async run() {
    return { result: { name: 'cellar', version, node: process.versions.node }, lines: () => [version] };
  },
});
