/**
 * Extended headers: what the `x` and `g` records before a member say about it. Later records win over earlier, an
 * `x` over a `g`, and an empty value takes back what a `g` said. Sources: POSIX pax(1) "pax Extended Header",
 * star(5) for SCHILY.*, libarchive's tar(5) for LIBARCHIVE.*, the GNU tar manual for GNU.sparse.*.
 */
import type { ByteString } from '../../core/bytes.ts';
import { noXattrs, type Xattrs } from '../entry.ts';

export interface PaxRecords {
  /** Keyword to value; of repeated keywords the last. */
  readonly values: Map<ByteString, ByteString>;
  /** GNU.sparse.offset and .numbytes in order: format 0.0 repeats them. */
  readonly sparse: number[];
}

export function emptyPax(): PaxRecords {
  return { values: new Map(), sparse: [] };
}

/** Adds `<length> <keyword>=<value>\n` records to `into`. @throws Error with what is wrong */
export function parsePaxRecords(text: ByteString, into: PaxRecords): void {
  for (let at = 0; at < text.length;) {
    if (text.charCodeAt(at) === 0) return; // padding that some writers count in
    const space = text.indexOf(' ', at);
    const digits = space < 0 ? '' : text.slice(at, space);
    const length = Number(digits);
    const end = at + length;
    if (!/^\d{1,10}$/.test(digits) || end > text.length || text[end - 1] !== '\n' || end <= space + 2) {
      throw new Error('a pax record has the wrong length');
    }
    const equals = text.indexOf('=', space);
    if (equals < 0 || equals >= end || equals === space + 1) throw new Error('a pax record has no keyword');
    const keyword = text.slice(space + 1, equals);
    const value = text.slice(equals + 1, end - 1);
    if (keyword === 'GNU.sparse.offset' || keyword === 'GNU.sparse.numbytes')
      into.sparse.push(paxNumber(value, keyword));
    else into.values.set(keyword, value);
    at = end;
  }
}

/** Decimal integer of a record, not negative. @throws Error */
export function paxNumber(value: ByteString, keyword: string): number {
  const parsed = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(parsed)) throw new Error(`${keyword} is not a number`);
  return parsed;
}

/** Seconds with an optional fraction, possibly negative, as floor and nanoseconds. @throws Error */
export function paxTime(value: ByteString): { mtime: number; mtimeNsec: number } {
  const match = /^(-?)(\d+)(?:\.(\d*))?$/.exec(value);
  if (match === null) throw new Error('mtime is not a time');
  const seconds = Number(match[2]);
  if (!Number.isSafeInteger(seconds)) throw new Error('mtime is not a time');
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { mtime: seconds, mtimeNsec: nanoseconds };
  return nanoseconds === 0
    ? { mtime: 0 - seconds, mtimeNsec: 0 }
    : { mtime: -seconds - 1, mtimeNsec: 1e9 - nanoseconds };
}

const schily = 'SCHILY.xattr.';
const libarchive = 'LIBARCHIVE.xattr.';

/**
 * LIBARCHIVE.xattr.NAME (name URL-encoded, value base64) says exactly what it means. The SCHILY.xattr.NAME records
 * that libarchive writes beside it say the same, but break at a `=` in the name: they count only where it is alone.
 */
export function paxXattrs(values: ReadonlyMap<ByteString, ByteString>): Xattrs {
  let exact: Map<ByteString, ByteString> | undefined;
  let found: Map<ByteString, ByteString> | undefined;
  for (const [keyword, value] of values) {
    if (keyword.startsWith(libarchive)) {
      exact ??= new Map();
      const name = keyword.slice(libarchive.length).replace(/%([0-9A-Fa-f]{2})/g, fromHex);
      exact.set(name, Buffer.from(value, 'base64').toString('latin1'));
    } else if (keyword.startsWith(schily)) {
      found ??= new Map();
      found.set(keyword.slice(schily.length).replace(/%(3D|25)/g, fromHex), value);
    } else if (keyword === 'RHT.security.selinux') {
      found ??= new Map();
      if (!values.has('SCHILY.xattr.security.selinux')) found.set('security.selinux', `${value}\0`);
    }
  }
  const xattrs = exact ?? found;
  return xattrs === undefined ? noXattrs : [...xattrs].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The keyword of an xattr as GNU tar writes it: what would end a keyword, and the escape itself, are escaped. */
export function xattrKeyword(name: ByteString): ByteString {
  return schily + name.replaceAll('%', '%25').replaceAll('=', '%3D');
}

function fromHex(_: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}
