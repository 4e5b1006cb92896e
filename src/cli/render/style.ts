/** Colours, judged for each stream: none for a pipe, `NO_COLOR`, `TERM=dumb` or `--no-color`. */
import { styleText } from 'node:util';
import type { Environment } from '../../core/environment.ts';

export interface Style {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly yellow: (text: string) => string;
  readonly green: (text: string) => string;
  readonly cyan: (text: string) => string;
}

export interface StyleTarget {
  readonly isTTY?: boolean;
}

/** `NO_COLOR`: no-color.org, any value but the empty one. */
export function hasColor(stream: StyleTarget, env: Environment, wanted = true): boolean {
  if (!wanted || (env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '' && env['FORCE_COLOR'] !== '0') return true;
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

export function createStyle(color: boolean): Style {
  const paint =
    (format: Parameters<typeof styleText>[0]) =>
    (text: string): string =>
      color ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    yellow: paint('yellow'),
    green: paint('green'),
    cyan: paint('cyan'),
  };
}

export const plain: Style = createStyle(false);
