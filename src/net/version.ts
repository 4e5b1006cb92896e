/**
 * Which version of a file a response belongs to, so that bytes of two are never mixed: its validators (RFC 9110, 8.8)
 * and its length.
 */
import type { HttpResponse } from './port.ts';

export interface Version {
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
}

export interface ContentRange {
  readonly start: number;
  /** Exclusive. */
  readonly end: number;
  readonly total: number | undefined;
}

/** Of a 200 or 206. */
export function versionOf({ status, headers }: Pick<HttpResponse, 'status' | 'headers'>): Version {
  return {
    size: status === 206 ? contentRange(headers)?.total : lengthOf(headers),
    etag: headers['etag'],
    lastModified: headers['last-modified'],
  };
}

/** The length that a response announces for its own body. */
export function lengthOf(headers: Readonly<Record<string, string>>): number | undefined {
  const text = headers['content-length']?.trim() ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : undefined;
}

/** `Content-Range: bytes 0-9/100` (RFC 9110, 14.4); `undefined` for anything else. */
export function contentRange(headers: Readonly<Record<string, string>>): ContentRange | undefined {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(headers['content-range']?.trim() ?? '');
  if (found === null) return undefined;
  const [start, end] = [Number(found[1]), Number(found[2]) + 1];
  const total = found[3] === '*' ? undefined : Number(found[3]);
  return end > start && end <= (total ?? Infinity) ? { start, end, total } : undefined;
}

export function strongEtag({ etag }: Version): string | undefined {
  return etag !== undefined && /^"[^"]*"$/.test(etag) ? etag : undefined;
}

/** What `If-Range` may name: a strong ETag, or a date where the length speaks too. */
export function validatorOf(version: Version): string | undefined {
  return strongEtag(version) ?? (version.size === undefined ? undefined : version.lastModified);
}

/** `undefined` when the two say too little. */
export function sameVersion(a: Version, b: Version): boolean | undefined {
  if (a.size !== undefined && b.size !== undefined && a.size !== b.size) return false;
  const [one, other] = [strongEtag(a), strongEtag(b)];
  if (one !== undefined && other !== undefined) return one === other;
  if (a.lastModified === undefined || b.lastModified === undefined) return undefined;
  if (a.lastModified !== b.lastModified) return false;
  return a.size !== undefined && b.size !== undefined ? true : undefined;
}
