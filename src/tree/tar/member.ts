/**
 * From a header block and the extended headers before it to one member: which field wins, what kind of member it
 * is, and how many bytes follow it.
 */
import type { ByteString } from '../../core/bytes.ts';
import { isEncodable, makedev } from '../../core/rdev.ts';
import type { EntryType, InodeMeta } from '../entry.ts';
import { field, readNumber, readText, typeFlagAt, type Field } from './block.ts';
import { TarProblem, type PaxRecords } from './pax.ts';
import { xattrsOf } from './pax-xattrs.ts';
import { gnuSparse, readGnuSlots } from './sparse-map.ts';
import type { Segment } from '../../sys/sparse.ts';

export interface TarMember extends InodeMeta {
  /** As in the archive: raw bytes, not cleaned. */
  readonly path: ByteString;
  readonly type: EntryType | 'hardlink';
  /** Logical bytes of content; 0 unless a file. */
  readonly size: number;
  /** Bytes of content in the archive: less than `size` for a sparse file. */
  storedSize: number;
  readonly rdev: number;
  /** Of a symlink or hard link, raw. */
  readonly target: ByteString | undefined;
  /** Data segments of a sparse file, ascending; `undefined` when it has no hole. */
  sparse: readonly Segment[] | undefined;
  /** POSIX ACLs as text; those given as extended attributes win and are not repeated here. */
  readonly aclText: { readonly access?: ByteString; readonly default?: ByteString } | undefined;
  /** Where its header block and its stored content are in the unpacked archive. */
  readonly offset: number;
  dataOffset: number;
}

export interface Extensions {
  /** One object for all `x` headers before the member. */
  local: PaxRecords | undefined;
  global: PaxRecords | undefined;
  /** GNU `L` and `K`. */
  longName: ByteString | undefined;
  longLink: ByteString | undefined;
}

export interface FoundMember {
  readonly member: TarMember;
  /** Bytes that follow, padding not counted. Of other types than files they are not for us. */
  readonly bytes: number;
  /** Sparse map as far as it is known, still to be checked. */
  readonly map: number[] | undefined;
  /** Where the rest of the map is. */
  readonly moreMap: 'extension blocks' | 'content' | undefined;
}

/** @throws TarProblem */
export function readMember(bytes: Buffer, at: number, extensions: Extensions, offset: number): FoundMember {
  const { local, global } = extensions;
  const flag = bytes[at + typeFlagAt]!;
  const path =
    local?.sparse?.name ?? choose(local?.path, global?.path) ?? extensions.longName ?? headerName(bytes, at);
  const stored = choose(local?.size, global?.size) ?? numberOf(bytes, at, field.size, 'size');
  if (stored < 0) refuse('a member has a negative size');
  const type = typeOf(flag, path);
  const isFile = type === 'file';
  const sparse = isFile ? findSparse(bytes, at, local) : undefined;
  const time = choose(local?.mtime, global?.mtime);
  const xattrs = xattrsOf(local, global);
  const member: TarMember = {
    path,
    type,
    mode: numberOf(bytes, at, field.mode, 'mode') & 0o7777,
    uid: idOf(choose(local?.uid, global?.uid) ?? numberOf(bytes, at, field.uid, 'uid'), 'uid'),
    gid: idOf(choose(local?.gid, global?.gid) ?? numberOf(bytes, at, field.gid, 'gid'), 'gid'),
    mtime: time?.mtime ?? numberOf(bytes, at, field.mtime, 'mtime'),
    mtimeNsec: time?.mtimeNsec ?? 0,
    xattrs,
    size: isFile ? (sparse?.size ?? stored) : 0,
    storedSize: isFile ? stored : 0,
    rdev: type === 'char' || type === 'block' ? deviceOf(bytes, at) : 0,
    target: type === 'symlink' || type === 'hardlink' ? linkTarget(bytes, at, extensions) : undefined,
    sparse: undefined,
    aclText: local === undefined && global === undefined ? undefined : aclTextOf(local, global, xattrs),
    offset,
    dataOffset: 0,
  };
  // A size on a type that has no content is allocation or a leftover: nothing follows, as GNU tar, Python and Go see it.
  const bytesFollow = isFileFlag(flag) || flag === 0x44;
  return { member, bytes: bytesFollow ? stored : 0, map: sparse?.map, moreMap: sparse?.more };
}

/** A sparse file of the old GNU or of a PAX form, as far as its header tells. */
function findSparse(
  bytes: Buffer,
  at: number,
  local: PaxRecords | undefined,
): { size: number; map: number[]; more: FoundMember['moreMap'] } | undefined {
  if (bytes[at + typeFlagAt] === 0x53) {
    const size = numberOf(bytes, at, field.realSize, 'real size');
    if (size < 0) refuse('a sparse file has a negative size');
    const map: number[] = [];
    const { at: start, slots, more } = gnuSparse.header;
    if (!readGnuSlots(bytes, at + start, slots, map)) refuse('the sparse map is malformed');
    return { size, map, more: bytes[at + more] === 0 ? undefined : 'extension blocks' };
  }
  const pax = local?.sparse;
  if (pax === undefined || (pax.major === 0 && pax.map === undefined)) return undefined;
  const size = pax.realSize ?? refuse('a sparse file has no size');
  if (pax.major === 0) return { size, map: pax.map ?? [], more: undefined };
  if (pax.major === 1 && pax.minor === 0) return { size, map: [], more: 'content' };
  return refuse(`sparse format ${pax.major}.${pax.minor} is not known`, 'format');
}

/** What pax headers say; `undefined` leaves it to the header block. */
function choose<T>(local: T | null | undefined, global: T | null | undefined): T | undefined {
  return local === null ? undefined : (local ?? global ?? undefined);
}

function refuse(problem: string, kind: 'corrupt' | 'format' = 'corrupt'): never {
  throw new TarProblem(problem, kind);
}

/** '0', NUL, '7' and 'S': types whose bytes are the content of a file. */
function isFileFlag(flag: number): boolean {
  return flag === 0x30 || flag === 0 || flag === 0x37 || flag === 0x53;
}

function typeOf(flag: number, path: ByteString): TarMember['type'] {
  switch (flag) {
    case 0x30:
    case 0:
    case 0x37:
      // Archives older than the directory type mark one by a slash at its end; GNU tar reads any file so.
      return path.endsWith('/') ? 'directory' : 'file';
    case 0x53:
      return 'file';
    case 0x31:
      return 'hardlink';
    case 0x32:
      return 'symlink';
    case 0x33:
      return 'char';
    case 0x34:
      return 'block';
    case 0x35:
    case 0x44:
      return 'directory';
    case 0x36:
      return 'fifo';
    case 0x4d:
      return refuse('it is part of a multi-volume archive', 'format');
    default:
      return refuse(`members of type ${JSON.stringify(String.fromCharCode(flag))} are not known`);
  }
}

/** Only POSIX headers ("ustar" and a NUL) have a prefix; GNU ones ("ustar" and blanks) keep times there. */
function headerName(bytes: Buffer, at: number): ByteString {
  const name = readText(bytes, at, field.name);
  if (bytes[at + field.prefix[0]] === 0 || bytes.toString('latin1', at + 257, at + 263) !== 'ustar\0')
    return name;
  const isStar = bytes.toString('latin1', at + 508, at + 512) === 'tar\0';
  const prefix = readText(bytes, at, isStar ? field.starPrefix : field.prefix);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function linkTarget(bytes: Buffer, at: number, { local, global, longLink }: Extensions): ByteString {
  return choose(local?.linkPath, global?.linkPath) ?? longLink ?? readText(bytes, at, field.linkName);
}

function numberOf(bytes: Buffer, at: number, place: Field, name: string): number {
  return readNumber(bytes, at, place) ?? refuse(`field ${name} of a header is no number`);
}

/** The largest id stands for "none" in the kernel. */
function idOf(id: number, name: string): number {
  return id >= 0 && id < 0xffff_ffff ? id : refuse(`${name} ${id} is out of range`);
}

function deviceOf(bytes: Buffer, at: number): number {
  const major = readNumber(bytes, at, field.devMajor) ?? Number.NaN;
  const minor = readNumber(bytes, at, field.devMinor) ?? Number.NaN;
  return isEncodable(major, minor) ? makedev(major, minor) : refuse('a device has an impossible number');
}

function aclTextOf(
  local: PaxRecords | undefined,
  global: PaxRecords | undefined,
  xattrs: InodeMeta['xattrs'],
): TarMember['aclText'] {
  const access = choose(local?.aclAccess, global?.aclAccess);
  const inherited = choose(local?.aclDefault, global?.aclDefault);
  if (access === undefined && inherited === undefined) return undefined;
  const has = (name: string): boolean => xattrs.some(([key]) => key === name);
  const keepAccess = access !== undefined && !has('system.posix_acl_access');
  const keepDefault = inherited !== undefined && !has('system.posix_acl_default');
  if (!keepAccess && !keepDefault) return undefined;
  return { ...(keepAccess ? { access } : {}), ...(keepDefault ? { default: inherited } : {}) };
}
