/** Small shapes that several verbs show. */
import { count, formatBytes } from './units.ts';

/** The 12 digits by which people tell images apart; any verb takes them. */
export function short(digest: string): string {
  return digest.slice(0, 12);
}

/** What a write to the store brought, for import and commit. */
export function storedLines(result: {
  readonly reference: string;
  readonly image?: string;
  readonly files: number;
  readonly bytes: number;
  readonly newObjects: number;
  readonly newBytes: number;
  readonly elapsedMs: number;
}): string[] {
  const { files, bytes, newObjects, newBytes, elapsedMs } = result;
  const name =
    result.image === undefined
      ? `would store ${result.reference}`
      : `${result.reference}  ${short(result.image)}`;
  const brought =
    newObjects === 0 ? 'nothing new' : `${count(newObjects, 'new object')} (${formatBytes(newBytes)})`;
  return [
    name,
    `${count(files, 'path')}, ${formatBytes(bytes)}; ${brought}; ${(elapsedMs / 1000).toFixed(2)} s`,
  ];
}
