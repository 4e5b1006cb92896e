/** Errors in how the command was called: exit code 2, and a hint where one can be given. */
import { CellarError } from '../core/errors.ts';

export function usage(problem: string, hint?: string): CellarError {
  return new CellarError('E_USAGE', { details: { problem }, ...(hint === undefined ? {} : { hint }) });
}
