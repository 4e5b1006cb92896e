/**
 * Reading where an image lies on this machine, written as other tools write it:
 *
 *   docker-archive:FILE[:NAME[:TAG]]   oci-archive:FILE[:NAME]   oci:DIRECTORY[:NAME]
 *
 * In place of a name: `@N` (the N-th image, from 0) or `sha256:…`. The first colon after the kind ends the path.
 */
import { resolve } from 'node:path';
import { isDigest, type Digest } from '../core/digest.ts';
import { invalid } from './location.ts';

export interface LocalImageLocation {
  readonly kind: 'docker-archive' | 'oci-archive' | 'oci';
  /** Absolute. */
  readonly path: string;
  readonly choice: ImageChoice;
}

export type ImageChoice =
  | { readonly kind: 'only' }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'digest'; readonly digest: Digest };

const location = /^(docker-archive|oci-archive|oci):(?!\/\/)(.*)$/s;

/** @throws E_SOURCE_INVALID */
export function parseLocalImage(text: string): LocalImageLocation {
  const [, kind, rest] = location.exec(text) ?? [];
  if (kind === undefined || rest === undefined) throw invalid(text, 'it is no image on this machine');
  const colon = rest.indexOf(':');
  const path = colon < 0 ? rest : rest.slice(0, colon);
  if (path === '' || path.includes('\0')) throw invalid(text, 'it has no path');
  const choice = colon < 0 ? ({ kind: 'only' } as const) : parseChoice(rest.slice(colon + 1), text);
  return { kind: kind as LocalImageLocation['kind'], path: resolve(path), choice };
}

function parseChoice(text: string, whole: string): ImageChoice {
  const index = /^@(\d{1,6})$/.exec(text)?.[1];
  if (index !== undefined) return { kind: 'index', index: Number(index) };
  const digest = /^@?sha256:(.*)$/s.exec(text)?.[1];
  if (digest !== undefined) {
    if (!isDigest(digest)) throw invalid(whole, 'a digest is sha256: and 64 hexadecimal digits');
    return { kind: 'digest', digest };
  }
  if (text === '' || text.startsWith('@')) throw invalid(whole, 'a name, @N or sha256:… follows the path');
  return { kind: 'name', name: text };
}
