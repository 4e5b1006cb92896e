/** From a header and the extended records before it to one member with all its metadata. */
import type { ByteString } from '../../core/bytes.ts';
import { isEncodable, makedev } from '../../core/rdev.ts';
import type { EntryType, InodeMeta } from '../entry.ts';
import type { RawHeader } from './header.ts';
import { paxNumber, paxTime, paxXattrs, type PaxRecords } from './pax.ts';
import { paxSparse, type PaxSparse, type Segment } from './sparse.ts';

export interface TarMember extends InodeMeta {
  /** As in the archive, not cleaned. */
  readonly path: ByteString;
  readonly type: EntryType | 'hardlink';
  /** Logical bytes of a file's content, and bytes stored for it in the archive. */
  readonly size: number;
  readonly storedSize: number;
  readonly rdev: number;
  /** Of a symlink or a hard link, as in the archive. */
  readonly target?: ByteString;
  /** Data segments of a sparse file. */
  readonly sparse?: readonly Segment[];
  /** ACLs as text, to be resolved in the tree's own account files. */
  readonly aclText?: { readonly access?: ByteString; readonly default?: ByteString };
  /** Byte offsets, in the unpacked archive, of its header and of its stored content. */
  readonly offset: number;
  readonly dataOffset: number;
}

/** A member before its sparse map is known (old GNU extension blocks, pax 1.0). */
export interface MemberDraft {
  readonly member: Omit<TarMember, 'sparse' | 'size' | 'dataOffset'>;
  readonly sparse: PaxSparse | undefined;
}

const types: Readonly<Record<string, TarMember['type']>> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'char',
  '4': 'block',
  '5': 'directory',
  D: 'directory',
  '6': 'fifo',
};

const largestId = 0xffff_fffe;

/** @throws Error with what is wrong; the caller adds where */
export function draftMember(
  header: RawHeader,
  pax: PaxRecords,
  names: { path?: ByteString; link?: ByteString },
  offset: number,
): MemberDraft {
  const { values } = pax;
  const sparse = paxSparse(pax);
  const path = values.get('GNU.sparse.name') ?? values.get('path') ?? names.path ?? header.name;
  // Old archives mark a directory by a slash at the end of its name alone.
  const isOldDirectory = (header.typeflag === '0' || header.typeflag === '\0') && path.endsWith('/');
  const type = isOldDirectory ? 'directory' : types[header.typeflag];
  if (type === undefined) throw new Error(`it has the unknown type '${header.typeflag}'`);
  const size = values.has('size') ? paxNumber(values.get('size')!, 'size') : header.size;
  if (size < 0) throw new Error('its size is negative');
  const isDevice = type === 'char' || type === 'block';
  const member = {
    path,
    type,
    mode: header.mode & 0o7777,
    uid: id(values.get('uid'), header.uid, 'uid'),
    gid: id(values.get('gid'), header.gid, 'gid'),
    ...(values.has('mtime') ? paxTime(values.get('mtime')!) : { mtime: header.mtime, mtimeNsec: 0 }),
    xattrs: paxXattrs(values),
    // Only files carry data: what other types say about their size is allocation or a leftover.
    storedSize: type === 'file' || header.typeflag === 'D' ? size : 0,
    rdev: isDevice ? device(header, values) : 0,
    ...targetOf(type, values.get('linkpath') ?? names.link ?? header.linkname),
    ...aclOf(values),
    offset,
  };
  return { member, sparse: type === 'file' ? sparse : undefined };
}

function id(pax: ByteString | undefined, plain: number, field: string): number {
  const value = pax === undefined ? plain : paxNumber(pax, field);
  if (value < 0 || value > largestId) throw new Error(`its ${field} is out of range`);
  return value;
}

function device(header: RawHeader, values: ReadonlyMap<ByteString, ByteString>): number {
  const major = values.has('SCHILY.devmajor')
    ? paxNumber(values.get('SCHILY.devmajor')!, 'devmajor')
    : header.major;
  const minor = values.has('SCHILY.devminor')
    ? paxNumber(values.get('SCHILY.devminor')!, 'devminor')
    : header.minor;
  if (!isEncodable(major, minor)) throw new Error('its device number is out of range');
  return makedev(major, minor);
}

function targetOf(type: TarMember['type'], target: ByteString): { target?: ByteString } {
  return type === 'symlink' || type === 'hardlink' ? { target } : {};
}

function aclOf(values: ReadonlyMap<ByteString, ByteString>): Pick<TarMember, 'aclText'> {
  const access = values.get('SCHILY.acl.access');
  const fallback = values.get('SCHILY.acl.default');
  if (access === undefined && fallback === undefined) return {};
  return {
    aclText: {
      ...(access === undefined ? {} : { access }),
      ...(fallback === undefined ? {} : { default: fallback }),
    },
  };
}
