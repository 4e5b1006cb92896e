/**
 * An error for people: what, where and why on the first line, the next command on the second.
 *
 *   cellar: error[E_NOT_FOUND]: no image 'debian:13' in the store /var/lib/cellar
 *   hint: 'cellar ls' shows what is there
 */
import type { CellarError } from '../../core/errors.ts';
import type { Style } from './style.ts';

export interface ErrorView {
  readonly style: Style;
  /** Add where it was thrown and what caused it. */
  readonly verbose?: boolean;
}

export function errorLines(error: CellarError, { style, verbose = false }: ErrorView): string[] {
  const head = `cellar: ${style.red(`error[${error.code}]`)}: ${oneLine(error.message)}`;
  const hint = error.hint === undefined ? [] : [`${style.cyan('hint:')} ${oneLine(error.hint)}`];
  return [head, ...hint, ...(verbose ? causes(error).map((line) => style.dim(line)) : [])];
}

function causes(error: Error): string[] {
  const lines = stack(error);
  for (let cause = error.cause, depth = 0; cause !== undefined && depth < 8; depth++) {
    const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : JSON.stringify(cause);
    lines.push(`caused by: ${oneLine(text)}`);
    if (!(cause instanceof Error)) break;
    lines.push(...stack(cause));
    cause = cause.cause;
  }
  return lines;
}

function stack(error: Error): string[] {
  return (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
}

/** File names and server replies end up in messages: no control character reaches the terminal. */
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, (found) => (/^[\n\t]+$/.test(found) ? ' ' : '?'));
}
