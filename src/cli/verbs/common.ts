/** Options and arguments that mean the same in every verb that has them. */
import { required, text, toggle, type ArgumentSpec } from '../spec.ts';

export const reference = (
  summary = 'The image: a reference or a digest (cellar help names)',
): ArgumentSpec<true> => required('REF', summary, 'reference');

export const newReference = (): ArgumentSpec<true> =>
  required('REF', 'The reference to set; its tag defaults to latest', 'reference');

export const platform = text('OS/ARCH', 'Choose among the platforms of a reference');

export const dryRun = toggle('Say what would be done, and do nothing', 'n');
