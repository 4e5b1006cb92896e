/**
 * References for files that are kept by where they come from: `files/<host>/<path>`. A reference has fewer characters
 * than a URL, so what does not fit is written as `__` and two hex digits for each byte of its UTF-8, with `0` before it
 * at the beginning of a component, where nothing but a letter or digit may stand:
 *
 *   https://dl.k8s.io/v1.34.1/kubectl         files/dl.k8s.io/v1.34.1/kubectl
 *   https://host:8443/Linux/a%2Bb             files/host__3a8443/0__4cinux/a__2bb
 *
 * Two URLs never get one name, so a server that is asked for a path finds the one file that is meant.
 */
import { CellarError } from '../core/errors.ts';
import { parseReference, type Reference } from '../core/reference.ts';

const prefix = 'files';
const longest = 255;

/** @param url http or https @throws E_USAGE when the name would be too long */
export function fileReference(url: URL): Reference {
  const names = url.pathname.split('/').filter((name) => name !== '');
  if (url.pathname.endsWith('/')) names.push('index.html');
  const last = `${decode(names.pop()!)}${url.search}`;
  return referenceOfPath([url.host, ...names.map(decode), last]);
}

/** The same for a host and the names of directories and a file, as `wget -x` makes them. @throws E_USAGE */
export function referenceOfPath(names: readonly string[]): Reference {
  const name = [prefix, ...names.map(encodeComponent)].join('/');
  if (name.length <= longest) return parseReference(name);
  throw new CellarError('E_USAGE', {
    details: { problem: `the name for ${names.join('/')} would have more than ${longest} characters` },
    hint: "give it one of your own: 'cellar add NAME SOURCE'",
  });
}

/** Letters, digits, and between two of them one `.`, one `_` or any number of `-` stay; nothing else does. */
export function encodeComponent(name: string): string {
  let encoded = '';
  for (const { 0: piece, index } of name.matchAll(/[a-z0-9]+|-+|[^]/gu)) {
    const isWord = /^[a-z0-9]/.test(piece);
    const isBetween = encoded !== '' && /^[a-z0-9]/.test(name.slice(index + piece.length));
    encoded += isWord || (isBetween && /^(?:[._]|-+)$/.test(piece)) ? piece : escape(piece);
  }
  // A zero of its own is told from the one that stands before an escape.
  if (encoded.startsWith('0__')) return `0${escape('0')}${encoded.slice(1)}`;
  return encoded.startsWith('__') ? `0${encoded}` : encoded;
}

function escape(piece: string): string {
  return [...Buffer.from(piece)].map((byte) => `__${byte.toString(16).padStart(2, '0')}`).join('');
}

function decode(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    // A percent sign that begins no UTF-8 stands for itself.
    return name;
  }
}
