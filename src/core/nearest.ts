/** Guessing what was meant, for hints. */

/** The name among `known` that was most likely meant, if any is near enough. */
export function nearest(given: string, known: readonly string[]): string | undefined {
  const best = ranked(given, known)[0];
  if (best === undefined) return undefined;
  // A name of which nothing is left is another name, however short it is.
  const most = Math.min(Math.max(1, Math.floor(best.name.length / 3)), best.name.length - 1);
  return best.distance <= most ? best.name : undefined;
}

/**
 * As {@link nearest}, of references. Names are compared without their tags, which would make any two of them alike; of
 * one name's tags the same is preferred, then the nearest.
 */
export function nearestReference(given: string, known: readonly string[]): string | undefined {
  const name = nearest(nameOf(given), known.map(nameOf));
  if (name === undefined) return undefined;
  const own = known.filter((other) => nameOf(other) === name);
  return ranked(`${name}${tagOf(given)}`, own)[0]?.name;
}

/** Of a reference, without its tag. A colon before a slash is that of a port. */
export function nameOf(reference: string): string {
  return reference.replace(/:[^:/@]*(@.*)?$/, '');
}

function tagOf(reference: string): string {
  return reference.slice(nameOf(reference).length);
}

function ranked(given: string, known: readonly string[]): { name: string; distance: number }[] {
  return known
    .map((name) => ({ name, distance: distance(given, name) }))
    .sort((a, b) => a.distance - b.distance);
}

/** Edits that turn one word into the other, a swap of neighbours being one (optimal string alignment). */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, at) => at)];
  for (let i = 1; i <= a.length; i++) {
    const above = rows[i - 1]!;
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let least = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, rows[i - 2]![j - 2]! + 1);
      row.push(least);
    }
    rows.push(row);
  }
  return rows[a.length]![b.length]!;
}
