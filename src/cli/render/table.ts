/** Columns for people: padded to their widest cell, two blanks apart, nothing trailing. */
import { stripVTControlCharacters } from 'node:util';

export interface TableOptions {
  readonly head?: readonly string[];
  /** Columns aligned to the right: numbers. */
  readonly right?: readonly number[];
}

export function table(rows: readonly (readonly string[])[], options: TableOptions = {}): string[] {
  const all = options.head === undefined ? rows : [options.head, ...rows];
  const columns = Math.max(0, ...all.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, column) =>
    all.reduce((widest, row) => Math.max(widest, width(row[column] ?? '')), 0),
  );
  const right = new Set(options.right ?? []);
  return all.map((row) =>
    row
      .map((cell, column) => pad(cell, widths[column]!, right.has(column)))
      .join('  ')
      .trimEnd(),
  );
}

/** Cells on a screen; escapes take none. */
export function width(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}

function pad(cell: string, to: number, right: boolean): string {
  const blanks = ' '.repeat(Math.max(0, to - width(cell)));
  return right ? blanks + cell : cell + blanks;
}

/** Cut to `columns` cells, the last one an ellipsis. For text without escapes. */
export function clip(text: string, columns: number): string {
  const characters = Array.from(text);
  return characters.length <= columns ? text : `${characters.slice(0, Math.max(0, columns - 1)).join('')}…`;
}
