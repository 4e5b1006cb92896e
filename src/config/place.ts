/** Where in the configuration something stands, so that every complaint can say it. */
import { CellarError } from '../core/errors.ts';

export interface Place {
  /** As the user named it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly column: number;
}

/** `cellar.yaml:3:5`, as editors and terminals make it a link. */
export function showPlace({ file, line, column }: Place): string {
  return `${file}:${line}:${column}`;
}

export interface Complaint {
  readonly place: Place;
  readonly problem: string;
  readonly hint?: string;
}

/** One error for all that is wrong with a file; the first is told in full. */
export function configError(first: Complaint, others: readonly Complaint[] = []): CellarError {
  const more = others.map(({ place, problem }) => `${showPlace(place)}: ${problem}`);
  const hint = [first.hint, more.length === 0 ? undefined : `also ${more.join('; ')}`].filter(Boolean);
  return new CellarError('E_CONFIG', {
    details: {
      place: showPlace(first.place),
      problem: first.problem,
      ...(more.length === 0 ? {} : { others: more }),
    },
    ...(hint.length === 0 ? {} : { hint: hint.join('; ') }),
  });
}
