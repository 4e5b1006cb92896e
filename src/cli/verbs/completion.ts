/** `cellar completion` on the command line. */
import { completionScript, shells } from '../completion-scripts.ts';
import { defineVerb, required } from '../spec.ts';
import { usage } from '../usage.ts';

export const verb = defineVerb({
  description: [
    'The script asks cellar itself, so that references and new verbs complete without installing it again.',
  ],
  args: [{ ...required('SHELL', 'bash, zsh or fish'), choices: shells }],
  options: {},
  examples: [
    { command: 'cellar completion bash > /etc/bash_completion.d/cellar', does: 'for all users of bash' },
    { command: 'cellar completion fish > ~/.config/fish/completions/cellar.fish', does: 'for fish' },
    { command: 'cellar completion zsh > "${fpath[1]}/_cellar"', does: 'for zsh' },
  ],
  async run({ args: [name] }) {
    const shell = shells.find((known) => known === name);
    if (shell === undefined)
      throw usage(`'${name}' is no shell we complete for`, `choose one of ${shells.join(', ')}`);
    const script = completionScript(shell);
    return { result: { shell, script }, lines: () => [script] };
  },
});
