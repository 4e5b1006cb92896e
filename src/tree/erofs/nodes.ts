/**
 * The tree behind an image: who is whose child, which names share an inode, and the breadth-first order in
 * which inodes are written. Everything is in typed arrays indexed by entry, so a million entries stay lean.
 */
import type { ByteString } from '../../core/bytes.ts';
import { noXattrs } from '../entry.ts';
import { fileTypeCode } from './format.ts';
import { isWhiteout, type ImageEntry } from './image-entry.ts';

export interface Nodes {
  /** In canonical order, the stubs of the root directory among them. */
  readonly entries: readonly ImageEntry[];
  readonly parent: Int32Array;
  readonly firstChild: Int32Array;
  readonly nextSibling: Int32Array;
  /** The node whose inode a name leads to: itself unless it is a hard link. */
  readonly inode: Int32Array;
  readonly links: Uint32Array;
  /** Directory entry type of the inode; a whiteout counts as a file. */
  readonly fileType: Uint8Array;
  /** 1 for a directory that holds a whiteout. */
  readonly holdsWhiteout: Uint8Array;
  /** Nodes with an inode of their own, breadth first, children by name. */
  readonly order: Int32Array;
}

const none = -1;

/** `entries` in canonical order, parents present. */
export function buildNodes(tree: readonly ImageEntry[]): Nodes {
  const entries = withStubs(tree);
  const count = entries.length;
  const nodes: Nodes = {
    entries,
    parent: new Int32Array(count),
    firstChild: new Int32Array(count).fill(none),
    nextSibling: new Int32Array(count).fill(none),
    inode: new Int32Array(count),
    links: new Uint32Array(count),
    fileType: new Uint8Array(count),
    holdsWhiteout: new Uint8Array(count),
    order: new Int32Array(0),
  };
  linkChildren(nodes);
  resolveHardlinks(nodes);
  describe(nodes);
  return { ...nodes, order: breadthFirst(nodes) };
}

export function nameOf(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/**
 * Overlayfs must not show the object directories `00` … `ff` that lie under an image, so the root gets a
 * whiteout for each that it does not itself use.
 */
function withStubs(tree: readonly ImageEntry[]): ImageEntry[] {
  const root = tree[0]!;
  const selinux = root.xattrs.filter(([name]) => name === 'security.selinux');
  const xattrs = selinux.length === 0 ? noXattrs : selinux;
  const { uid, gid, mtime, mtimeNsec } = root;
  const stub = { type: 'char', mode: 0o644, uid, gid, mtime, mtimeNsec, xattrs, size: 0, rdev: 0 } as const;
  const merged: ImageEntry[] = [];
  let next = 0;
  for (let byte = 0; byte < 256; byte++) {
    const path = `/${byte.toString(16).padStart(2, '0')}`;
    while (next < tree.length && tree[next]!.path < path) merged.push(tree[next++]!);
    if (tree[next]?.path !== path) merged.push({ ...stub, path, links: 1, stub: true });
  }
  while (next < tree.length) merged.push(tree[next++]!);
  return merged;
}

/** In canonical order the children of one directory come sorted by name, though not next to each other. */
function linkChildren({ entries, parent, firstChild, nextSibling }: Nodes): void {
  const directories = new Map<ByteString, number>();
  const lastChild = new Int32Array(entries.length).fill(none);
  let above = '';
  let current = 0;
  for (let node = 0; node < entries.length; node++) {
    const { path, type } = entries[node]!;
    if (type === 'directory') directories.set(node === 0 ? '' : path, node);
    if (node === 0) continue;
    const slash = path.lastIndexOf('/');
    if (slash !== above.length || !path.startsWith(above)) {
      above = path.slice(0, slash);
      const found = directories.get(above);
      if (found === undefined) throw new Error(`entries are not a canonical tree: ${path} has no parent`);
      current = found;
    }
    parent[node] = current;
    const last = lastChild[current]!;
    if (last === none) firstChild[current] = node;
    else nextSibling[last] = node;
    lastChild[current] = node;
  }
}

function resolveHardlinks({ entries, inode }: Nodes): void {
  for (let node = 0; node < entries.length; node++) inode[node] = node;
  const targets = new Map<ByteString, number>();
  for (const { hardlink } of entries) if (hardlink !== undefined) targets.set(hardlink, none);
  if (targets.size === 0) return;
  for (let node = 0; node < entries.length; node++) {
    const { path } = entries[node]!;
    if (targets.has(path)) targets.set(path, node);
  }
  for (let node = 0; node < entries.length; node++) {
    const { hardlink, path } = entries[node]!;
    if (hardlink === undefined) continue;
    const target = targets.get(hardlink)!;
    if (target === none) throw new Error(`entries are not a canonical tree: ${path} is a link to nothing`);
    inode[node] = target;
  }
}

function describe({ entries, parent, inode, links, fileType, holdsWhiteout }: Nodes): void {
  for (let node = 0; node < entries.length; node++) {
    const entry = entries[node]!;
    const directory = entry.type === 'directory';
    links[inode[node]!]! += directory ? 2 : 1;
    if (directory && node !== 0) links[parent[node]!]! += 1;
    if (inode[node] !== node) continue;
    const whiteout = isWhiteout(entry);
    fileType[node] = whiteout ? fileTypeCode.file : fileTypeCode[entry.type];
    if (whiteout) holdsWhiteout[parent[node]!] = 1;
  }
  for (let node = 0; node < entries.length; node++) {
    const { type, links: given } = entries[node]!;
    if (given !== undefined && type !== 'directory') links[node] = given;
  }
}

function breadthFirst({ entries, firstChild, nextSibling, inode }: Nodes): Int32Array {
  const order = new Int32Array(entries.length);
  let end = 1;
  for (let at = 0; at < end; at++) {
    for (let child = firstChild[order[at]!]!; child !== none; child = nextSibling[child]!) {
      if (inode[child] === child) order[end++] = child;
    }
  }
  return order.subarray(0, end);
}
