/**
 * PAX extended header records: `LENGTH KEYWORD=VALUE\n`. Source: POSIX.1-2017 pax, "pax Extended Header"; star(5)
 * for SCHILY.*; GNU tar manual, "Storing Sparse Files"; libarchive-formats(5) for LIBARCHIVE.*.
 */
import type { ByteString } from '../../core/bytes.ts';

/**
 * The records we use. `undefined`: not there; `null`: given with an empty value, which takes back what a global
 * header said and leaves the header block's own field.
 */
export interface PaxRecords {
  path: ByteString | null | undefined;
  linkPath: ByteString | null | undefined;
  size: number | null | undefined;
  uid: number | null | undefined;
  gid: number | null | undefined;
  mtime: PaxTime | null | undefined;
  aclAccess: ByteString | null | undefined;
  aclDefault: ByteString | null | undefined;
  /** SCHILY.xattr.NAME, with the name as written. */
  xattrs: Map<ByteString, ByteString> | undefined;
  /** LIBARCHIVE.xattr.NAME, decoded. */
  encodedXattrs: Map<ByteString, ByteString> | undefined;
  seLinux: ByteString | undefined;
  sparse: PaxSparse | undefined;
}

export interface PaxTime {
  readonly mtime: number;
  /** 0 … 999,999,999, also before 1970. */
  readonly mtimeNsec: number;
}

export interface PaxSparse {
  major: number;
  minor: number;
  name: ByteString | undefined;
  realSize: number | undefined;
  /** Offset and length alternating; formats 0.0 and 0.1. */
  map: number[] | undefined;
}

/** Thrown by the pure readers of this folder; the parser adds archive and offset. */
export class TarProblem extends Error {
  readonly kind: 'corrupt' | 'format';

  constructor(message: string, kind: 'corrupt' | 'format' = 'corrupt') {
    super(message);
    this.kind = kind;
  }
}

export function emptyPax(): PaxRecords {
  return {
    path: undefined,
    linkPath: undefined,
    size: undefined,
    uid: undefined,
    gid: undefined,
    mtime: undefined,
    aclAccess: undefined,
    aclDefault: undefined,
    xattrs: undefined,
    encodedXattrs: undefined,
    seLinux: undefined,
    sparse: undefined,
  };
}

/**
 * Adds the records in `bytes[start, end)`; of several with one keyword the last wins. A NUL ends them: some
 * writers count padding in. Values are cut from the bytes one by one: a slice of one long string would keep all of it.
 * @throws TarProblem
 */
export function readPax(bytes: Buffer, start: number, end: number, into: PaxRecords): void {
  let at = start;
  while (at < end && bytes[at] !== 0) {
    let length = 0;
    let digits = at;
    for (; digits < end && digits < at + 10; digits++) {
      const digit = bytes[digits]! - 48;
      if (digit < 0 || digit > 9) break;
      length = length * 10 + digit;
    }
    const next = at + length;
    if (digits === at || bytes[digits] !== 32 || next > end || next < digits + 3 || bytes[next - 1] !== 10)
      throw new TarProblem('a pax record has a wrong length');
    const equals = bytes.indexOf(61, digits + 1);
    if (equals < 0 || equals >= next - 1 || equals === digits + 1)
      throw new TarProblem('a pax record has no keyword');
    takeRecord(bytes.toString('latin1', digits + 1, equals), bytes, equals + 1, next - 1, into);
    at = next;
  }
}

function takeRecord(keyword: string, bytes: Buffer, start: number, end: number, into: PaxRecords): void {
  const isEmpty = start === end;
  switch (keyword) {
    case 'path':
      into.path = isEmpty ? null : bytes.toString('latin1', start, end);
      return;
    case 'linkpath':
      into.linkPath = isEmpty ? null : bytes.toString('latin1', start, end);
      return;
    case 'size':
    case 'uid':
    case 'gid':
      into[keyword] = isEmpty ? null : parseCount(bytes.toString('latin1', start, end), keyword);
      return;
    case 'mtime':
      into.mtime = isEmpty ? null : parseTime(bytes.toString('latin1', start, end));
      return;
    case 'atime':
    case 'ctime':
    case 'uname':
    case 'gname':
      return;
    default:
      takeExtra(keyword, bytes.toString('latin1', start, end), into);
  }
}

function takeExtra(keyword: string, value: ByteString, into: PaxRecords): void {
  if (keyword.startsWith('SCHILY.xattr.')) (into.xattrs ??= new Map()).set(keyword.slice(13), value);
  else if (keyword.startsWith('LIBARCHIVE.xattr.'))
    (into.encodedXattrs ??= new Map()).set(percentDecode(keyword.slice(17)), base64(value));
  else if (keyword === 'SCHILY.acl.access') into.aclAccess = value === '' ? null : value;
  else if (keyword === 'SCHILY.acl.default') into.aclDefault = value === '' ? null : value;
  else if (keyword === 'RHT.security.selinux') into.seLinux = value;
  else if (keyword.startsWith('GNU.sparse.')) takeSparse(keyword.slice(11), value, into);
  else if (keyword === 'GNU.volume.offset')
    throw new TarProblem('it is one part of a multi-volume archive', 'format');
}

function takeSparse(keyword: string, value: ByteString, into: PaxRecords): void {
  const sparse = (into.sparse ??= {
    major: 0,
    minor: 0,
    name: undefined,
    realSize: undefined,
    map: undefined,
  });
  switch (keyword) {
    case 'major':
    case 'minor':
      sparse[keyword] = parseCount(value, keyword);
      return;
    case 'name':
      sparse.name = value;
      return;
    case 'size':
    case 'realsize':
      sparse.realSize = parseCount(value, keyword);
      return;
    case 'numblocks':
      // The segments are counted as they come; a wrong number shows in the sizes.
      sparse.map ??= [];
      return;
    case 'offset':
    case 'numbytes':
      (sparse.map ??= []).push(parseCount(value, keyword));
      if (sparse.map.length % 2 !== (keyword === 'offset' ? 1 : 0))
        throw new TarProblem('the sparse map is out of order');
      return;
    case 'map':
      sparse.map = value === '' ? [] : value.split(',').map((number) => parseCount(number, keyword));
      return;
    default:
  }
}

/** Seconds with an optional fraction, possibly negative; what is finer than nanoseconds is cut off towards the past. */
export function parseTime(text: string): PaxTime {
  const match = decimal.exec(text) ?? decimal.exec(withoutExponent(text));
  const whole = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(whole)) throw new TarProblem('mtime is no time');
  const fraction = match[3] ?? '';
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { mtime: whole, mtimeNsec: nanoseconds };
  const under = nanoseconds + (/[1-9]/.test(fraction.slice(9)) ? 1 : 0);
  return under === 0
    ? { mtime: 0 - whole, mtimeNsec: 0 }
    : { mtime: -whole - 1, mtimeNsec: 1_000_000_000 - under };
}

const decimal = /^(-?)(\d{1,16})(?:\.(\d*))?$/;

/** Python's tarfile writes times within a tenth of a millisecond of the epoch so: `1e-05`. */
function withoutExponent(text: string): string {
  const [, sign, whole, fraction = '', exponent] = /^(-?)(\d)(?:\.(\d+))?e-(\d\d)$/.exec(text) ?? [];
  return exponent === undefined ? text : `${sign}0.${'0'.repeat(Number(exponent) - 1)}${whole}${fraction}`;
}

function parseCount(text: string, keyword: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new TarProblem(`${keyword} of a pax header is no size`);
  return value;
}

function percentDecode(name: ByteString): ByteString {
  return name.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
}

function base64(text: string): ByteString {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new TarProblem('an extended attribute is not in base64');
  return Buffer.from(text, 'base64').toString('latin1');
}
