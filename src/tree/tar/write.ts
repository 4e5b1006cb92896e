/**
 * One tar member from one entry: a ustar header, and before it a pax header with just what ustar cannot say. The
 * same entry gives the same bytes everywhere. GNU tar, bsdtar and Python read all of it back.
 * Sources: POSIX pax(1); GNU tar manual, "Storing Sparse Files" (format 1.0); star(5) for SCHILY.*.
 */
import { isUtf8 } from 'node:buffer';
import type { ByteString } from '../../core/bytes.ts';
import { major, minor } from '../../core/rdev.ts';
import type { Entry } from '../entry.ts';
import { aclNames, aclToText } from './acl.ts';
import { blockSize, field, paddingOf, typeFlagAt, type Field } from './block.ts';
import { xattrKeyword } from './pax-xattrs.ts';
import type { Segment } from './sparse-map.ts';

export interface MemberOptions {
  /** Data segments of a file whose holes are left out. */
  readonly sparse?: readonly Segment[];
}

const largestOctal12 = 0o7777_7777_777;
const largestOctal8 = 0o777_7777;

/** All blocks before the content (of a sparse file: with its map); `undefined` for a socket, which tar cannot hold. */
export function tarMember(entry: Entry, { sparse }: MemberOptions = {}): Buffer | undefined {
  if (entry.type === 'socket') return undefined;
  const map = sparse === undefined ? undefined : sparseMap(sparse, entry.size);
  const stored =
    sparse === undefined ? entry.size : map!.length + sparse.reduce((sum, { length }) => sum + length, 0);
  const isFile = entry.type === 'file' && entry.hardlink === undefined;
  const header = { name: memberName(entry), link: linkName(entry), size: isFile ? stored : 0 };
  const records = paxRecords(entry, header, sparse !== undefined);
  const parts: Buffer[] = [];
  if (records !== '') {
    const content = Buffer.from(records, 'latin1');
    parts.push(
      ustar({ ...plain, name: paxName(header.name), size: content.length, typeflag: 'x' }),
      padded(content),
    );
  }
  const name = sparse === undefined ? header.name : sparseName(header.name);
  parts.push(
    ustar({
      ...entry,
      rdev: entry.rdev,
      name,
      link: header.link,
      size: header.size,
      typeflag: typeflagOf(entry),
    }),
  );
  if (map !== undefined) parts.push(map);
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

/** Two zero blocks, and zeros up to a record of 10,240 bytes, as tar writes. `bytes` is what came before. */
export function tarEnd(bytes: number): Buffer {
  const record = 20 * blockSize;
  const total = Math.ceil((bytes + 2 * blockSize) / record) * record;
  return Buffer.alloc(total - bytes);
}

interface Ustar {
  readonly name: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeflag: string;
  readonly link: ByteString;
  readonly rdev: number;
}

const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0, link: '', rdev: 0 };

/** What does not fit a field is 0 there, and in the pax header for real. */
function ustar(header: Ustar): Buffer {
  const block = Buffer.alloc(blockSize);
  const split = splitName(header.name) ?? { prefix: '', name: header.name.slice(0, 100) };
  block.write(split.name, ...field.name, 'latin1');
  octal(block, field.mode, header.mode);
  octal(block, field.uid, header.uid <= largestOctal8 ? header.uid : 0);
  octal(block, field.gid, header.gid <= largestOctal8 ? header.gid : 0);
  octal(block, field.size, header.size <= largestOctal12 ? header.size : 0);
  octal(block, field.mtime, header.mtime >= 0 && header.mtime <= largestOctal12 ? header.mtime : 0);
  block.write(header.typeflag, typeFlagAt, 1, 'latin1');
  block.write(header.link.slice(0, 100), ...field.linkName, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  octal(block, field.devMajor, major(header.rdev));
  octal(block, field.devMinor, minor(header.rdev));
  block.write(split.prefix, ...field.prefix, 'latin1');
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < blockSize; at++) sum += block[at]!;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, ...field.checksum, 'latin1');
  return block;
}

function octal(block: Buffer, [at, length]: Field, value: number): void {
  block.write(value.toString(8).padStart(length - 1, '0'), at, length - 1, 'latin1');
}

/** Names over 100 bytes may be cut at a slash into a prefix of up to 155; `undefined` where that cannot be. */
function splitName(name: ByteString): { prefix: ByteString; name: ByteString } | undefined {
  if (name.length <= 100) return { prefix: '', name };
  const slash = name.indexOf('/', name.length - 101);
  if (slash < 1 || slash > 155 || slash === name.length - 1) return undefined;
  return { prefix: name.slice(0, slash), name: name.slice(slash + 1) };
}

function memberName({ path, type }: Entry): ByteString {
  if (path === '/') return './';
  return type === 'directory' ? `.${path}/` : `.${path}`;
}

function linkName({ hardlink, target }: Entry): ByteString {
  return hardlink === undefined ? (target ?? '') : `.${hardlink}`;
}

function typeflagOf({ type, hardlink }: Entry): string {
  if (hardlink !== undefined) return '1';
  return { file: '0', directory: '5', symlink: '2', char: '3', block: '4', fifo: '6', socket: '0' }[type];
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
  const path = isSparse || splitName(header.name) === undefined ? header.name : '';
  const linkPath = header.link.length > 100 ? header.link : '';
  // POSIX has these records in UTF-8; this one says that they are bytes as they were.
  if (!isUtf8(Buffer.from(path + linkPath, 'latin1'))) add('hdrcharset', 'BINARY');
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
  const [seconds, nanoseconds] = mtime < 0 ? [-mtime - 1, 1e9 - mtimeNsec] : [mtime, mtimeNsec];
  return `${mtime < 0 ? '-' : ''}${seconds}.${String(nanoseconds).padStart(9, '0').replace(/0+$/, '')}`;
}

/** The length counts itself. */
function record(keyword: string, value: ByteString): ByteString {
  const rest = ` ${keyword}=${value}\n`;
  let length = rest.length + String(rest.length).length;
  if (String(length).length > String(rest.length).length) length = rest.length + String(length).length;
  return `${length}${rest}`;
}

function paxName(name: ByteString): ByteString {
  const base = name.replace(/\/$/, '').split('/').at(-1)!;
  return `./PaxHeaders/${base.slice(0, 80)}`;
}

function sparseName(name: ByteString): ByteString {
  return `./GNUSparseFile.0/${name.split('/').at(-1)!.slice(0, 80)}`;
}

/** A hole at the end is an empty segment there: without it GNU tar leaves the file too short. */
function sparseMap(data: readonly Segment[], size: number): Buffer {
  const last = data.at(-1);
  const endsInHole = last === undefined || last.offset + last.length < size;
  const segments = endsInHole ? [...data, { offset: size, length: 0 }] : data;
  let text = `${segments.length}\n`;
  for (const { offset, length } of segments) text += `${offset}\n${length}\n`;
  return padded(Buffer.from(text, 'latin1'));
}

function padded(content: Buffer): Buffer {
  const padding = paddingOf(content.length);
  return padding === 0 ? content : Buffer.concat([content, Buffer.alloc(padding)]);
}
