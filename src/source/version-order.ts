/** "The newest of these" by name or serial, where upstream gives no other order. */

/**
 * Runs of digits compare as numbers, everything else by code point: `24.04.10` comes after `24.04.9`, and
 * `20260101_05:24` after `20251231_23:59`. Equal only for equal texts.
 */
export function compareVersions(a: string, b: string): number {
  const left = pieces(a);
  const right = pieces(b);
  for (let at = 0; at < Math.min(left.length, right.length); at++) {
    const order = comparePieces(left[at]!, right[at]!);
    if (order !== 0) return order;
  }
  return left.length - right.length || compareTexts(a, b);
}

/** @param items at least one */
export function newest<T>(items: readonly T[], version: (item: T) => string): T {
  return items.reduce((best, item) => (compareVersions(version(item), version(best)) > 0 ? item : best));
}

function pieces(text: string): string[] {
  return text.match(/[0-9]+|[^0-9]+/g) ?? [];
}

function comparePieces(a: string, b: string): number {
  if (!isNumber(a) || !isNumber(b)) return compareTexts(a, b);
  const [left, right] = [a.replace(/^0+/, ''), b.replace(/^0+/, '')];
  return left.length - right.length || compareTexts(left, right);
}

function isNumber(piece: string): boolean {
  return /^[0-9]/.test(piece);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
