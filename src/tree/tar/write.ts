/**
 * One tar member from one entry: a ustar header, and before it a pax header with just what ustar cannot say. The
 * same entry gives the same bytes everywhere. GNU tar, bsdtar and Python read all of it back.
 * Sources: POSIX pax(1); GNU tar manual, "Storing Sparse Files" (format 1.0); star(5) for SCHILY.*.
 */
import { isUtf8 } from 'node:buffer';
import type { ByteString } from '../../core/bytes.ts';
import type { Entry } from '../entry.ts';
import { aclNames, aclToText } from './acl.ts';
import { blockSize, paddingOf } from './block.ts';
import { xattrKeyword } from './pax-xattrs.ts';
import type { Segment } from '../../sys/sparse.ts';
import { fitsUstar, largestOctal12, largestOctal8, longestLink, writeUstar } from './ustar.ts';

export interface MemberOptions {
  /** Data segments of a file whose holes are left out. */
  readonly sparse?: readonly Segment[];
  /** Without `./` before the name. */
  readonly bare?: boolean;
}

/** All blocks before the content (of a sparse file: with its map); `undefined` for a socket, which tar cannot hold. */
export function tarMember(entry: Entry, { sparse, bare }: MemberOptions = {}): Buffer | undefined {
  if (entry.type === 'socket') return undefined;
  const map = sparse === undefined ? '' : sparseMap(sparse, entry.size);
  const isFile = entry.type === 'file' && entry.hardlink === undefined;
  const stored =
    sparse === undefined ? entry.size : padded(map) + sparse.reduce((sum, { length }) => sum + length, 0);
  const header = {
    name: bare === true ? memberName(entry).slice(2) : memberName(entry),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size: isFile ? stored : 0,
    mtime: entry.mtime,
    typeFlag: entry.hardlink === undefined ? typeFlags[entry.type] : '1',
    link: entry.hardlink === undefined ? (entry.target ?? '') : `.${entry.hardlink}`,
    rdev: entry.rdev,
  };
  const records = paxRecords(entry, header, sparse !== undefined);
  const before = records === '' ? 0 : blockSize + padded(records);
  // From the pool: a block of memory of its own for each of a million headers costs more than what is written to it.
  const bytes = Buffer.allocUnsafe(before + blockSize + padded(map)).fill(0);
  if (records !== '') {
    writeUstar(bytes, 0, { ...plain, name: paxName(header.name), size: records.length });
    bytes.write(records, blockSize, 'latin1');
  }
  writeUstar(bytes, before, sparse === undefined ? header : { ...header, name: sparseName(header.name) });
  if (map !== '') bytes.write(map, before + blockSize, 'latin1');
  return bytes;
}

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0, typeFlag: 'x', link: '', rdev: 0 };

const typeFlags = { file: '0', directory: '5', symlink: '2', char: '3', block: '4', fifo: '6' } as const;

/** Two zero blocks, and zeros up to a record of 10,240 bytes, as tar writes. `bytes` is what came before. */
export function tarEnd(bytes: number): Buffer {
  const record = 20 * blockSize;
  const total = Math.ceil((bytes + 2 * blockSize) / record) * record;
  return Buffer.alloc(total - bytes);
}

function memberName({ path, type }: Entry): ByteString {
  if (path === '/') return './';
  return type === 'directory' ? `.${path}/` : `.${path}`;
}

/** Records in a fixed order; only those that say more than the ustar header. */
function paxRecords(
  entry: Entry,
  header: { name: ByteString; link: ByteString; size: number },
  isSparse: boolean,
): ByteString {
  let text = '';
  const add = (keyword: string, value: ByteString): void => {
    text += record(keyword, value);
  };
  const path = isSparse || !fitsUstar(header.name) ? header.name : '';
  const linkPath = header.link.length > longestLink ? header.link : '';
  // POSIX has these records in UTF-8; this one says that they are bytes as they were.
  if (path + linkPath !== '' && !isUtf8(Buffer.from(path + linkPath, 'latin1'))) add('hdrcharset', 'BINARY');
  if (isSparse) {
    add('GNU.sparse.major', '1');
    add('GNU.sparse.minor', '0');
    add('GNU.sparse.name', header.name);
    add('GNU.sparse.realsize', String(entry.size));
  } else if (path !== '') add('path', path);
  if (linkPath !== '') add('linkpath', linkPath);
  if (header.size > largestOctal12) add('size', String(header.size));
  if (entry.uid > largestOctal8) add('uid', String(entry.uid));
  if (entry.gid > largestOctal8) add('gid', String(entry.gid));
  if (entry.mtimeNsec !== 0 || entry.mtime < 0 || entry.mtime > largestOctal12) add('mtime', timeText(entry));
  // Xattrs belong to the inode: its first name brings them.
  if (entry.hardlink !== undefined) return text;
  for (const [name, value] of entry.xattrs) {
    // ACLs as text are what GNU tar, star and libarchive restore; a value that text cannot give back stays as it is.
    const kind = name === aclNames.access ? 'access' : name === aclNames.default ? 'default' : undefined;
    const acl = kind === undefined ? undefined : aclToText(value, kind);
    if (acl === undefined) add(xattrKeyword(name), value);
    else add(`SCHILY.acl.${kind}`, acl);
  }
  return text;
}

/** Decimal seconds: -1.5 is stored as -2 s and 500,000,000 ns. */
function timeText({ mtime, mtimeNsec }: Entry): string {
  if (mtimeNsec === 0) return String(mtime);
  const [sign, seconds, nanoseconds] =
    mtime < 0 ? ['-', -mtime - 1, 1e9 - mtimeNsec] : ['', mtime, mtimeNsec];
  return `${sign}${seconds}.${String(nanoseconds).padStart(9, '0').replace(/0+$/, '')}`;
}

/** The length counts itself. */
function record(keyword: string, value: ByteString): ByteString {
  const rest = ` ${keyword}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  if (String(length).length > String(rest.length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}

function paxName(name: ByteString): ByteString {
  return `./PaxHeaders/${baseName(name)}`;
}

function sparseName(name: ByteString): ByteString {
  return `./GNUSparseFile.0/${baseName(name)}`;
}

/** Its last part, short enough for a header: these names are only for readers that know no PAX. */
function baseName(name: ByteString): ByteString {
  const end = name.endsWith('/') ? name.length - 1 : name.length;
  const start = name.lastIndexOf('/', end - 1) + 1;
  return name.slice(start, Math.min(end, start + 80));
}

/** A hole at the end is an empty segment there: without it GNU tar leaves the file too short. */
function sparseMap(data: readonly Segment[], size: number): ByteString {
  const last = data.at(-1);
  const endsInHole = last === undefined || last.offset + last.length < size;
  const segments = endsInHole ? [...data, { offset: size, length: 0 }] : data;
  let text = `${segments.length}\n`;
  for (const { offset, length } of segments) text += `${offset}\n${length}\n`;
  return text;
}

function padded(text: ByteString): number {
  return text.length + paddingOf(text.length);
}
