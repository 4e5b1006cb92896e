/**
 * Reading locations: what a user wrote, and what a server says its files are called. Everything a server says is
 * joined to the place the user named, and cannot leave it.
 */
import { CellarError } from '../core/errors.ts';
import type { ImageKind } from '../core/record.ts';

/** What the thing behind a name becomes. */
export interface Shape {
  readonly kind: ImageKind;
  /** Of a tree. */
  readonly format?: 'tar' | 'squashfs';
}

const tarNames = /\.(?:tar|tar\.(?:gz|xz|zst|bz2|lz4)|tgz|txz|tzst|tbz2?|tlz4)$/i;
const squashfsNames = /\.(?:squashfs|sqfs)$/i;

const shapes: Readonly<Record<string, Shape>> = {
  tar: { kind: 'tree', format: 'tar' },
  squashfs: { kind: 'tree', format: 'squashfs' },
  file: { kind: 'file' },
};

/** By its suffix; what is no archive is kept as a file. */
export function shapeOfName(name: string): Shape {
  if (tarNames.test(name)) return shapes['tar']!;
  return squashfsNames.test(name) ? shapes['squashfs']! : shapes['file']!;
}

/** `tar+`, `squashfs+` or `file+` before a location says what a name does not. */
export function splitShape(location: string): { shape?: Shape; rest: string } {
  const [, word, rest] = /^(tar|squashfs|file)\+(.*)$/is.exec(location) ?? [];
  return word === undefined ? { rest: location } : { shape: shapes[word.toLowerCase()]!, rest: rest! };
}

/** @throws E_SOURCE_INVALID unless it is an http or https URL without a fragment */
export function parseHttpUrl(text: string, location: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.hostname === '')
    throw invalid(location, 'it has no http or https URL');
  if (text.includes('#')) throw invalid(location, 'a fragment (#) means nothing here');
  return url;
}

/** The server or directory of a location and its mirrors: URLs to which names are joined. @throws E_SOURCE_INVALID */
export function parseBases(texts: readonly string[], location: string): URL[] {
  return texts.map((text) => {
    const url = parseHttpUrl(text, location);
    if (url.search !== '') throw invalid(location, 'a query (?) means nothing here');
    return url;
  });
}

/** Last component of the path as it stands in the URL, which is how sums list it; empty for a directory. */
export function nameOfUrl(url: URL): string {
  return url.pathname.slice(url.pathname.lastIndexOf('/') + 1);
}

/**
 * The URL of `path` below `base`, which stays on that server and in that directory.
 * @throws E_HTTP_BODY when the path, which the index at `saidBy` gave, would lead elsewhere
 */
export function urlBelow(base: URL, path: string, saidBy: string): string {
  const names = path.split('/').filter((name) => name !== '');
  if (names.length === 0 || /^[a-z][a-z0-9+.-]*:\/\/|[\p{Cc} \\?#]/iu.test(path) || names.some(leadsAway))
    throw junk(saidBy, `the path ${JSON.stringify(path.slice(0, 200))} leads elsewhere, or is no plain one`);
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}/${names.join('/')}`;
  return url.href;
}

export function invalid(location: string, problem: string): CellarError {
  return new CellarError('E_SOURCE_INVALID', { details: { source: location, problem } });
}

/** For an answer that is not what such a server answers. */
export function junk(url: string, problem: string): CellarError {
  return new CellarError('E_HTTP_BODY', { details: { url, problem } });
}

export function gone(location: string, problem: string, hint?: string): CellarError {
  return new CellarError('E_SOURCE_GONE', {
    details: { source: location, problem },
    ...(hint === undefined ? {} : { hint }),
  });
}

/** Percent-encoded too, as a server would decode it. */
function leadsAway(name: string): boolean {
  return /^\.{1,2}$/.test(name.replace(/%2e/gi, '.')) || /%(?:2f|5c|00)/i.test(name);
}
