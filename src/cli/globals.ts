/** The flags that every verb takes, before or after its name. */
import { choice, text, toggle, type OptionSpec } from './spec.ts';
import { progressModes, type ProgressMode } from './render/renderer.ts';

export const globalOptions = {
  json: toggle('Print the result as JSON: the last line of standard output is one object'),
  store: text('DIR', 'The store; else $CELLAR_STORE, else the default (cellar help names)', 'directory'),
  config: text('FILE', 'The configuration; else ./cellar.yaml, else /etc/cellar/cellar.yaml', 'file'),
  progress: choice(progressModes, 'How progress is shown on standard error (default auto)'),
  quiet: toggle('No progress and no notes, only warnings and errors', 'q'),
  verbose: toggle('Show the causes of an error, and each attempt of a request that failed', 'v'),
  noColor: toggle('No colours; NO_COLOR and TERM=dumb do the same'),
  help: toggle('Explain the verb', 'h'),
} satisfies Record<string, OptionSpec>;

export interface Globals {
  readonly json: boolean;
  readonly store: string | undefined;
  readonly config: string | undefined;
  readonly progress: ProgressMode | undefined;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly noColor: boolean;
  readonly help: boolean;
}

/** `dryRun` → `--dry-run` */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
