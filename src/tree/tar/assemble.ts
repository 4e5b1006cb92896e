/**
 * From members in the order of an archive to a tree. What GNU tar would make of them on a disk decides, but nothing is
 * unpacked, so a name can do no harm here that we do not allow: the table of outcomes is docs/reference/archives.md.
 */
import { toText, type ByteString } from '../../core/bytes.ts';
import { noXattrs, parentPath, type Entry, type Xattrs } from '../entry.ts';
import type { LayerTree } from '../merge.ts';
import { aclNames, checkAcl, type Accounts } from './acl.ts';
import { impliedInode, inodeBelow, inodeOf, toEntry, type ContentSlot, type Inode } from './inode.ts';
import type { TarMember } from './member.ts';
import { cleanName, longestPath, nameProblem } from './member-name.ts';
import { shorten, tarProblems } from './problems.ts';

export type { ContentSlot } from './inode.ts';

export interface TreeAssembler {
  /** `ignored` when it is excluded: its content is not wanted. @throws E_ARCHIVE_UNSAFE, E_ARCHIVE_LIMIT */
  add(member: TarMember, content?: ContentSlot): 'stored' | 'ignored';
  /** The tree, once every content has its digest. Names in ACL text are resolved as given. @throws E_TREE_INVALID */
  finish(accounts: Accounts): Entry[];
  /** The same with what has to be known to lay it over others. */
  finishLayer(accounts: Accounts): AssembledLayer;
}

export type AssembledLayer = Pick<LayerTree, 'implied' | 'linksBelow'> & { readonly entries: Entry[] };

export interface AssemblerOptions {
  /** Of the archive, for messages. */
  readonly source: string;
  readonly exclude?: (path: ByteString) => boolean;
  /** Paths in the tree, with parents that are only implied: one long name makes two thousand of them. */
  readonly maxFiles?: number;
  /** Of a layer: what the layers below come to at a path. Hard links may point there too. */
  readonly below?: (path: ByteString) => Entry | undefined;
  /** Of several layers one and the same. */
  readonly metadata?: MetadataCount;
}

/** Bytes of names, link targets, extended attributes and ACL text, and the entries they are of. */
export interface MetadataCount {
  bytes: number;
  names: number;
}

export function createTreeAssembler(options: AssemblerOptions): TreeAssembler {
  const { exclude, maxFiles = Number.POSITIVE_INFINITY } = options;
  const problems = tarProblems(options.source);
  const tree = new Map<ByteString, Inode>();
  const share = createXattrPool();
  const { metadata = { bytes: 0, names: 0 } } = options;
  let lastParent: ByteString = '/';
  tree.set('/', { ...impliedInode(), names: 1 });

  const put = (path: ByteString, inode: Inode): void => {
    tree.set(path, inode);
    inode.names++;
    tree.get(parentPath(path))!.children++;
    if (tree.size - 1 > maxFiles) throw problems.limit(`${maxFiles} entries`);
    metadata.names++;
    count(path.length + (inode.target?.length ?? 0));
  };

  /** What a manifest has to hold, also of implied directories and hard links, which cost an archive next to nothing. */
  const count = (bytes: number): void => {
    metadata.bytes += bytes;
    if (metadata.bytes > freeMetadata + metadata.names * metadataPerName)
      throw problems.limit(
        `${freeMetadata} bytes of names and attributes and ${metadataPerName} more for each entry`,
      );
  };

  const countAttributes = ({ xattrs, aclText }: Inode): void => {
    if (xattrs.length === 0 && aclText === undefined) return;
    count(xattrBytes(xattrs) + (aclText?.access?.length ?? 0) + (aclText?.default?.length ?? 0));
  };

  const remove = (path: ByteString): void => {
    tree.get(path)!.names--;
    tree.get(parentPath(path))!.children--;
    tree.delete(path);
    lastParent = '/';
  };

  /** Members come directory by directory, so the parent is mostly the one of the member before. */
  const ensureParent = (path: ByteString, refuse: Refuse): void => {
    const parent = parentPath(path);
    if (parent === lastParent) return;
    const missing: ByteString[] = [];
    for (let above = parent; ; above = parentPath(above)) {
      const inode = tree.get(above);
      if (inode?.type === 'directory') break;
      if (inode !== undefined) {
        const what = inode.type === 'symlink' ? 'a symlink, which is never followed' : 'not a directory';
        return refuse(`${toText(above)} is ${what}`);
      }
      missing.push(above);
    }
    for (const path of missing.reverse()) put(path, impliedInode());
    lastParent = parent;
  };

  /** As tar: a directory stays and takes the new metadata; all else gives way, unless something lies in it. */
  const replace = (path: ByteString, inode: Inode, refuse: Refuse): void => {
    const present = tree.get(path);
    if (inode.type === 'directory' && present?.type === 'directory') {
      inode.children = present.children;
      inode.names = present.names;
      tree.set(path, inode);
      return;
    }
    if (path === '/') return refuse('the root of the tree must be a directory');
    if (present !== undefined) {
      if (present.children > 0) return refuse('a directory that is not empty is in its place');
      remove(path);
    }
    put(path, inode);
  };

  const link = (path: ByteString, target: ByteString, refuse: Refuse): void => {
    const name = shorten(target);
    const problem = nameProblem(target);
    if (problem !== undefined) return refuse(`it is a hard link to ${name}: ${problem}`);
    const inode = tree.get(target) ?? (target === path ? undefined : findBelow(target));
    if (inode?.type === 'directory') return refuse(`it is a hard link to ${name}, a directory`);
    if (inode !== undefined) {
      if (tree.get(path) !== inode) replace(path, inode, refuse);
    } else if (target === path) refuse('it is a hard link to itself');
    else if (exclude?.(target) === true)
      refuse(`it is a hard link to ${name}, which is excluded: exclude it too`);
    else if (options.below !== undefined)
      refuse(`it is a hard link to ${name}, which is neither before it in its layer nor in a layer below`);
    else refuse(`it is a hard link to ${name}, which is not in the archive before it`);
  };

  const findBelow = (path: ByteString): Inode | undefined => {
    const entry = options.below?.(path);
    return entry === undefined ? undefined : inodeBelow(path, entry);
  };

  const finishLayer = (accounts: Accounts): AssembledLayer => {
    const paths = [...tree.keys()].sort();
    const entries: Entry[] = [];
    const implied = new Set<ByteString>();
    const linksBelow = new Map<ByteString, ByteString>();
    for (const path of paths) {
      const inode = tree.get(path)!;
      if (inode.isImplied) implied.add(path);
      if (inode.below !== undefined && inode.first === undefined) linksBelow.set(path, inode.below);
      entries.push(toEntry(path, inode, accounts));
      tree.delete(path);
    }
    return { entries, implied, linksBelow };
  };

  return {
    add(member, content) {
      const path = cleanName(member.path);
      if (exclude?.(path) === true) return 'ignored';
      const refuse: Refuse = (problem) => {
        throw problems.unsafe(member.path, problem);
      };
      const problem = nameProblem(path) ?? targetProblem(member);
      if (problem !== undefined) refuse(problem);
      if (path !== '/') ensureParent(path, refuse);
      const { type } = member;
      if (type === 'hardlink') {
        link(path, cleanName(member.target ?? ''), refuse);
        countAttributes(tree.get(path)!);
      } else {
        const inode = inodeOf(member, type, content, share(member, refuse));
        replace(path, inode, refuse);
        countAttributes(inode);
      }
      return 'stored';
    },
    finish: (accounts) => finishLayer(accounts).entries,
    finishLayer,
  };
}

/** Throws E_ARCHIVE_UNSAFE for the member in hand. */
type Refuse = (problem: string) => void;

function targetProblem({ type, target = '' }: TarMember): string | undefined {
  if (type !== 'symlink') return undefined;
  if (target === '') return 'it is a symlink to nothing';
  if (target.length > longestPath) return `its target is longer than ${longestPath} bytes`;
  return target.includes('\0') ? 'its target has a NUL' : undefined;
}

/** Trees have few different small sets of xattrs; entries with the same one share it. */
function createXattrPool(): (member: TarMember, refuse: Refuse) => Xattrs {
  const known = new Map<string, Xattrs>();
  return ({ path, xattrs }, refuse) => {
    if (xattrs.length === 0) return noXattrs;
    checkXattrs(path, xattrs, refuse);
    if (xattrBytes(xattrs) > 512) return xattrs;
    const key = JSON.stringify(xattrs);
    const same = known.get(key);
    if (same === undefined) known.set(key, xattrs);
    return same ?? xattrs;
  };
}

function xattrBytes(xattrs: Xattrs): number {
  return xattrs.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}

/** Many times what names, labels, ACLs, capabilities and signatures need, and no more than memory holds. */
const freeMetadata = 256 << 20;
const metadataPerName = 1024;

/** Source: xattr(7). */
const longestXattrName = 255;
const longestXattr = 65_536;

/** What no kernel would take at a checkout. */
function checkXattrs(path: ByteString, xattrs: Xattrs, refuse: Refuse): void {
  for (const [name, value] of xattrs) {
    if (name === '' || name.length > longestXattrName || name.includes('\0'))
      refuse(`the name of an xattr is empty, has a NUL or over ${longestXattrName} bytes`);
    if (value.length > longestXattr) refuse(`its xattr ${toText(name)} has over ${longestXattr} bytes`);
    if (name === aclNames.access || name === aclNames.default) checkAcl(value, path);
  }
}
