/**
 * From members in the order of an archive to a tree. What GNU tar would make of them on a disk decides, but nothing is
 * unpacked, so a name can do no harm here that we do not allow: the table of outcomes is docs/reference/archives.md.
 */
import { toText, type ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { aclFromText, checkAcl, type ResolveName } from './acl.ts';
import { impliedDirectory, noXattrs, parentPath, type Entry, type EntryType, type Xattrs } from '../entry.ts';
import type { TarMember } from './member.ts';

/** Filled in by whoever hashes the content. */
export interface ContentSlot {
  digest?: Digest;
  size: number;
}

export interface TreeAssembler {
  /** `ignored` when it is excluded: its content is not wanted. @throws E_ARCHIVE_UNSAFE */
  add(member: TarMember, content?: ContentSlot): 'stored' | 'ignored';
  /** The tree, once every content has its digest. Names in ACL text are resolved as given. @throws E_TREE_INVALID */
  finish(accounts: { resolveUser: ResolveName; resolveGroup: ResolveName }): Entry[];
}

/** What hard-linked names share. */
interface Inode {
  readonly member: TarMember | undefined;
  readonly type: EntryType;
  readonly content: ContentSlot | undefined;
  names: number;
  /** Entries below, of a directory. */
  children: number;
}

const longestComponent = 255;
const longestPath = 4095;
/** Source: xattr(7). */
const longestXattrName = 255;
const longestXattr = 65_536;

export function createTreeAssembler({
  source,
  exclude,
  maxFiles = Number.POSITIVE_INFINITY,
}: {
  source: string;
  exclude?: (path: ByteString) => boolean;
  /** Directories that no member names count too: one long name can imply two thousand. */
  maxFiles?: number;
}): TreeAssembler {
  const tree = new Map<ByteString, Inode>();
  const xattrs = new Map<string, Xattrs>();
  tree.set('/', directory(undefined));

  function unsafe(member: TarMember, problem: string): never {
    throw new CellarError('E_ARCHIVE_UNSAFE', { details: { source, path: toText(member.path), problem } });
  }

  /** Absolute within the tree. Leading `/` and `./` go, as in tar; `..` is refused even where it would be harmless. */
  function clean(member: TarMember, name: ByteString): ByteString {
    if (name.includes('\0')) unsafe(member, 'it has a NUL in its name');
    if (isClean(name)) return `/${name}`;
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) unsafe(member, "'..' in its name");
    if (parts.some((part) => part.length > longestComponent))
      unsafe(member, `a part of its name has over ${longestComponent} bytes`);
    const path = `/${parts.join('/')}`;
    if (path.length > longestPath) unsafe(member, `its name has over ${longestPath} bytes`);
    return path;
  }

  function makeParents(member: TarMember, path: ByteString): void {
    if (path === '/') return;
    const parent = parentPath(path);
    const inode = tree.get(parent);
    if (inode?.type === 'directory') return;
    if (inode?.type === 'symlink') unsafe(member, `${toText(parent)} is a symlink`);
    if (inode !== undefined) unsafe(member, `${toText(parent)} is not a directory`);
    makeParents(member, parent);
    put(parent, directory(undefined));
  }

  function put(path: ByteString, inode: Inode): void {
    tree.set(path, inode);
    if (tree.size - 1 > maxFiles)
      throw new CellarError('E_ARCHIVE_LIMIT', { details: { source, limit: `${maxFiles} entries` } });
    inode.names++;
    if (path !== '/') tree.get(parentPath(path))!.children++;
  }

  function remove(path: ByteString): void {
    tree.get(path)!.names--;
    tree.get(parentPath(path))!.children--;
    tree.delete(path);
  }

  /** As tar: a directory stays and takes the new metadata; anything else gives way, unless things lie in it. */
  function replace(member: TarMember, path: ByteString, inode: Inode): void {
    const present = tree.get(path);
    if (present?.type === 'directory' && inode.type === 'directory') {
      inode.children = present.children;
      inode.names = present.names;
      tree.set(path, inode);
      return;
    }
    if (path === '/') unsafe(member, 'the root of the tree must be a directory');
    if (present !== undefined) {
      if (present.children > 0) unsafe(member, 'a directory with entries is in its place');
      remove(path);
    }
    put(path, inode);
  }

  function link(member: TarMember, path: ByteString): void {
    const target = clean(member, member.target ?? '');
    const inode = tree.get(target);
    if (inode === undefined && target === path) unsafe(member, 'it is a hard link to itself');
    if (inode === undefined) unsafe(member, `its target ${toText(target)} is not in the archive before it`);
    if (inode.type === 'directory') unsafe(member, `its target ${toText(target)} is a directory`);
    if (tree.get(path) !== inode) replace(member, path, inode);
  }

  return {
    add(member, content) {
      const path = clean(member, member.path);
      if (exclude?.(path) === true) return 'ignored';
      makeParents(member, path);
      if (member.type === 'hardlink') {
        link(member, path);
        return 'stored';
      }
      if (member.type === 'symlink') checkTarget(member, unsafe);
      replace(member, path, {
        member: shared(member, xattrs, unsafe),
        type: member.type,
        content,
        names: 0,
        children: 0,
      });
      return 'stored';
    },
    finish(accounts) {
      const firsts = new Map<Inode, Entry>();
      return [...tree.keys()].sort().map((path) => {
        const inode = tree.get(path)!;
        const first = inode.names > 1 && inode.type !== 'directory' ? firsts.get(inode) : undefined;
        if (first !== undefined) return { ...first, path, hardlink: first.path };
        const entry = toEntry(path, inode, accounts);
        if (inode.names > 1) firsts.set(inode, entry);
        return entry;
      });
    },
  };
}

/** The common case, at the cost of one pass. */
function isClean(name: ByteString): boolean {
  return (
    name.length <= longestComponent && name !== '' && !/^\.?\/|\/\/|\/$|(?:^|\/)\.{1,2}(?:\/|$)/.test(name)
  );
}

type Unsafe = (member: TarMember, problem: string) => never;

function checkTarget(member: TarMember, unsafe: Unsafe): void {
  const target = member.target ?? '';
  if (target === '') unsafe(member, 'it is a symlink to nothing');
  if (target.length > longestPath) unsafe(member, `its target has over ${longestPath} bytes`);
  if (target.includes('\0')) unsafe(member, 'it has a NUL in its target');
}

function directory(member: TarMember | undefined): Inode {
  return { member, type: 'directory', content: undefined, names: 0, children: 0 };
}

/** Trees have few different sets of xattrs; entries with the same one share it. */
function shared(member: TarMember, known: Map<string, Xattrs>, unsafe: Unsafe): TarMember {
  if (member.xattrs.length === 0) return member;
  const key = JSON.stringify(member.xattrs);
  const same = known.get(key);
  if (same !== undefined) return { ...member, xattrs: same };
  checkXattrs(member, unsafe);
  known.set(key, member.xattrs);
  return member;
}

/** What no kernel would take at a checkout. */
function checkXattrs(member: TarMember, unsafe: Unsafe): void {
  for (const [name, value] of member.xattrs) {
    if (name === '' || name.length > longestXattrName || name.includes('\0'))
      unsafe(member, `the name of an xattr is empty, has a NUL or over ${longestXattrName} bytes`);
    if (value.length > longestXattr)
      unsafe(member, `its xattr ${toText(name)} has over ${longestXattr} bytes`);
    if (name === aclNames.access || name === aclNames.default) checkAcl(value, member.path);
  }
}

function toEntry(
  path: ByteString,
  { member, type, content }: Inode,
  accounts: { resolveUser: ResolveName; resolveGroup: ResolveName },
): Entry {
  if (member === undefined) return impliedDirectory(path);
  const { mode, uid, gid, mtime, mtimeNsec, rdev, target } = member;
  const xattrs = member.aclText === undefined ? member.xattrs : withAcls(path, member, accounts);
  const base = { path, type, uid, gid, mtime, mtimeNsec, xattrs, rdev };
  if (type === 'symlink') return { ...base, mode: 0o777, size: target!.length, target: target! };
  if (type !== 'file' || member.size === 0) return { ...base, mode, size: 0 };
  if (content?.digest === undefined) throw new Error(`content of ${path} was not hashed`);
  return { ...base, mode, size: member.size, digest: content.digest };
}

const aclNames = { access: 'system.posix_acl_access', default: 'system.posix_acl_default' } as const;

/** Binary ACLs win over text. */
function withAcls(
  path: ByteString,
  member: TarMember,
  accounts: { resolveUser: ResolveName; resolveGroup: ResolveName },
): Xattrs {
  const all = new Map(member.xattrs);
  for (const kind of ['access', 'default'] as const) {
    const text = member.aclText?.[kind];
    if (text === undefined || all.has(aclNames[kind])) continue;
    // Only a directory has one; tar leaves it out as well.
    if (kind === 'default' && member.type !== 'directory') continue;
    const binary = aclFromText(text, { kind, path, ...accounts });
    if (binary !== undefined) all.set(aclNames[kind], binary);
  }
  return all.size === 0 ? noXattrs : [...all].sort(([a], [b]) => (a < b ? -1 : 1));
}
