/** A name that names nothing, and what was meant: other tags of the name first, then what is written much like it. */
import { CellarError } from '../core/errors.ts';
import { nearest } from '../core/nearest.ts';
import { listReferences } from './references.ts';
import type { Store } from './store.ts';

/** @param reference in full where it is one, so that it shows which tag was looked for */
export function noImage(store: Store, reference: string): CellarError {
  const known = [...new Set(listReferences(store).map((row) => row.reference))];
  const name = nameOf(reference);
  const tags = known.filter((other) => nameOf(other) === name);
  const near = nearestTo(reference, known);
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

/** Names are compared without their tags, which would make any two of them alike; the same tag is preferred. */
function nearestTo(reference: string, known: readonly string[]): string | undefined {
  const name = nearest(nameOf(reference), known.map(nameOf));
  const own = known.filter((other) => nameOf(other) === name);
  return own.find((other) => other === `${name}${reference.slice(nameOf(reference).length)}`) ?? own[0];
}

const mostShown = 5;

function shown(tags: readonly string[]): string {
  const more = tags.length - mostShown;
  return tags.slice(0, mostShown).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Without its tag. A colon before a slash is that of a port. */
function nameOf(reference: string): string {
  return reference.replace(/:[^:/@]*(@.*)?$/, '');
}
