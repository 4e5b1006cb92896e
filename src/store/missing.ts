/** A name that names nothing, and what was meant: other tags of the name first, then what is written much like it. */
import { CellarError } from '../core/errors.ts';
import { nameOf, nearestReference } from '../core/nearest.ts';
import type { Platform } from '../core/platform.ts';
import { listReferences, type ReferenceRow } from './references.ts';
import type { Store } from './store.ts';

/** @throws E_DATABASE_DAMAGED where it may be there all the same @param reference in full where it is one, so that it shows which tag was looked for */
export function noImage(store: Store, reference: string): CellarError {
  store.rows.requireWhole();
  const known = [...new Set(listReferences(store).map((row) => row.reference))];
  const name = nameOf(reference);
  const tags = known.filter((other) => nameOf(other) === name);
  const near = nearestReference(reference, known);
  const hint =
    tags.length > 0
      ? `there is ${shown(tags)}; 'cellar ls' shows all`
      : near === undefined
        ? undefined
        : `did you mean '${near}'? 'cellar ls' shows what is there`;
  return new CellarError('E_NOT_FOUND', {
    details: { reference, store: store.root },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** @param rows of one reference, none of them for the platform that was asked for */
export function notForPlatform(
  store: Store,
  rows: readonly Pick<ReferenceRow, 'reference' | 'platform'>[],
  platform: Platform,
): CellarError {
  return new CellarError('E_NOT_FOUND', {
    details: { reference: rows[0]!.reference, platform, store: store.root },
    hint: `it is there for ${[...new Set(rows.map((row) => row.platform))].join(', ')}`,
  });
}

const mostShown = 5;

function shown(tags: readonly string[]): string {
  const more = tags.length - mostShown;
  return tags.slice(0, mostShown).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
