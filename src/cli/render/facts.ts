/** Small shapes that several verbs show. */
import { count, formatBytes, formatElapsed } from './units.ts';

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
  readonly unchanged?: boolean;
  readonly elapsedMs: number;
}): string[] {
  const { files, bytes, newObjects, newBytes, elapsedMs, unchanged = false } = result;
  const name =
    result.image === undefined
      ? `would store ${result.reference}`
      : `${result.reference}  ${short(result.image)}`;
  const objects = `${count(newObjects, 'new object')} (${formatBytes(newBytes)})`;
  const brought = unchanged ? 'unchanged' : newObjects === 0 ? 'nothing new' : objects;
  return [name, `${count(files, 'path')}, ${formatBytes(bytes)}; ${brought}; ${formatElapsed(elapsedMs)}`];
}
