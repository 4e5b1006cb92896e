/** What hard-linked names of a tree share while it is put together, and the entry it becomes. */
import type { ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import {
  impliedDirectory,
  noXattrs,
  type Entry,
  type EntryType,
  type InodeMeta,
  type Xattrs,
} from '../entry.ts';
import { aclFromText, aclNames, modeOfAcl, type Accounts } from './acl.ts';
import type { TarMember } from './member.ts';

/** Filled in by whoever hashes the content. */
export interface ContentSlot {
  digest: Digest | undefined;
  size: number;
}

export interface Inode extends InodeMeta {
  readonly type: EntryType;
  readonly rdev: number;
  readonly target: ByteString | undefined;
  readonly aclText: TarMember['aclText'];
  readonly content: ContentSlot | undefined;
  /** Its size when it was announced; a content slot is for more than nothing. */
  readonly size: number;
  /** Not in the archive: a parent that a name implies. */
  readonly isImplied: boolean;
  /** Entries below, of a directory. */
  children: number;
  names: number;
  /** Set when its first name has become an entry. */
  first: ByteString | undefined;
  /** It is an inode of the layers below, by this name. */
  readonly below?: ByteString;
}

export function inodeOf(
  member: TarMember,
  type: EntryType,
  content: ContentSlot | undefined,
  xattrs: Xattrs,
): Inode {
  return {
    type,
    mode: type === 'symlink' ? 0o777 : member.mode,
    uid: member.uid,
    gid: member.gid,
    mtime: member.mtime,
    mtimeNsec: member.mtimeNsec,
    xattrs,
    rdev: member.rdev,
    target: type === 'symlink' ? member.target : undefined,
    aclText: member.aclText,
    content,
    size: member.size,
    isImplied: false,
    children: 0,
    names: 0,
    first: undefined,
  };
}

export function impliedInode(): Inode {
  return {
    type: 'directory',
    ...{ mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs },
    rdev: 0,
    target: undefined,
    aclText: undefined,
    content: undefined,
    size: 0,
    isImplied: true,
    children: 0,
    names: 0,
    first: undefined,
  };
}

/** A name of a layer for what another name is in the layers below. */
export function inodeBelow(path: ByteString, entry: Entry): Inode {
  const { type, mode, uid, gid, mtime, mtimeNsec, xattrs, rdev, target, digest, size } = entry;
  return {
    type,
    ...{ mode, uid, gid, mtime, mtimeNsec, xattrs },
    rdev,
    target,
    aclText: undefined,
    content: digest === undefined ? undefined : { digest, size },
    size: type === 'file' ? size : 0,
    isImplied: false,
    children: 0,
    names: 0,
    first: undefined,
    below: path,
  };
}

/** @throws E_TREE_INVALID for ACL text that names nobody in the tree */
export function toEntry(path: ByteString, inode: Inode, accounts: Accounts): Entry {
  if (inode.isImplied) return impliedDirectory(path);
  const { type, uid, gid, mtime, mtimeNsec, rdev, target, size, content } = inode;
  const xattrs = inode.aclText === undefined ? inode.xattrs : withAcls(path, inode, accounts);
  const mode = xattrs === noXattrs ? inode.mode : modeOfAcl(inode.mode, xattrs);
  const { first } = inode;
  const digest = size > 0 ? content?.digest : undefined;
  if (size > 0 && digest === undefined) throw new Error(`the content of ${path} was not hashed`);
  // Whole at once: what is added to an object later lies outside of it, and costs a million of them 40 MB.
  const entry: { -readonly [Name in keyof Entry]: Entry[Name] } =
    digest === undefined
      ? { path, type, mode, uid, gid, mtime, mtimeNsec, xattrs, size, rdev }
      : { path, type, mode, uid, gid, mtime, mtimeNsec, xattrs, size, rdev, digest };
  if (target !== undefined) {
    entry.target = target;
    entry.size = target.length;
  }
  if (first === undefined) inode.first = path;
  else entry.hardlink = first;
  return entry;
}

/** Binary ACLs win over text. */
function withAcls(path: ByteString, { type, xattrs, aclText }: Inode, accounts: Accounts): Xattrs {
  const all = new Map(xattrs);
  for (const kind of ['access', 'default'] as const) {
    const text = aclText?.[kind];
    if (text === undefined || all.has(aclNames[kind])) continue;
    // Only a directory has a default ACL; tar leaves it out as well.
    if (kind === 'default' && type !== 'directory') continue;
    const binary = aclFromText(text, { kind, path, ...accounts });
    if (binary !== undefined) all.set(aclNames[kind], binary);
  }
  return all.size === 0 ? noXattrs : [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}
