/**
 * References: `[host[:port]/]name[:tag][@sha256:digest]`, a pointer with history and never an identity.
 * Grammar: OCI distribution-spec "Pulling manifests" (name, tag). The tag defaults to `latest`.
 * What any verb accepts besides: a digest prefix of at least 8 hex digits, and `REF@{N}`, the N-th earlier value.
 */
import type { Digest } from './digest.ts';
import { CellarError } from './errors.ts';

/** Canonical `name:tag`. */
export type Reference = string;

export type Selector =
  | {
      readonly by: 'reference';
      readonly reference: Reference;
      readonly earlier: number;
      readonly digest?: Digest;
    }
  | { readonly by: 'digest'; readonly prefix: string };

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const host = '(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?';
const nameAndTag = new RegExp(
  `^(${host}${component}(?:/${component})*)(?::([A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?$`,
);

/** A reference to be written. @throws E_REFERENCE_INVALID */
export function parseReference(text: string): Reference {
  const match = nameAndTag.exec(text);
  if (match === null || match[1]!.length > 255) {
    throw new CellarError('E_REFERENCE_INVALID', { details: { reference: text, problem: whyNot(text) } });
  }
  return `${match[1]}:${match[2] ?? 'latest'}`;
}

/** What a reading verb was given. @throws E_REFERENCE_INVALID */
export function parseSelector(text: string): Selector {
  const bare = text.startsWith('sha256:') ? text.slice('sha256:'.length) : text;
  if (/^[0-9a-f]{8,64}$/.test(bare)) return { by: 'digest', prefix: bare };
  const earlier = /^(.+)@\{(\d{1,6})\}$/.exec(text);
  if (earlier !== null)
    return { by: 'reference', reference: parseReference(earlier[1]!), earlier: Number(earlier[2]) };
  const pinned = /^(.+)@sha256:([0-9a-f]{64})$/.exec(text);
  if (pinned !== null)
    return { by: 'reference', reference: parseReference(pinned[1]!), earlier: 0, digest: pinned[2]! };
  return { by: 'reference', reference: parseReference(text), earlier: 0 };
}

function whyNot(text: string): string {
  if (text === '') return 'it is empty';
  if (/[A-Z]/.test(text.split(':')[0] ?? '') && !text.includes('/')) return 'names are lower case';
  if (text.length > 255) return 'it is too long';
  return 'names are lower-case letters, digits and . _ - /, a tag follows after a colon';
}
