/**
 * A writable checkout of plain files, compared with what was checked out. A file is not read when nothing can have
 * happened to it: its inode, and every directory above it, has not changed since the checkout was made (ctime, which
 * no one can set back), and it has the size and the time that the checkout gave it.
 */
import type { Unprojection } from '../../checkout/unproject.ts';
import type { ByteString } from '../../core/bytes.ts';
import type { CheckoutRow } from '../../store/checkouts.ts';
import { isUnchangedSince } from '../../sys/inode-clock.ts';
import type { Candidate } from '../../tree/candidate.ts';
import { scanDirectory, type Scanned, type ScanOptions } from '../../tree/directory.ts';
import { parentPath, type Entry } from '../../tree/entry.ts';
import { createLowerTree, type LowerTree } from '../../tree/lower-tree.ts';
import { readAll } from '../ingest/directory.ts';

export interface Compared extends ScanOptions {
  /** Where the checkout is read. */
  readonly root: ByteString;
  readonly row: Pick<CheckoutRow, 'created' | 'method'>;
  /** What was checked out, in the tree's terms, rooted as the checkout is. */
  readonly original: readonly Entry[];
  readonly unprojection: Unprojection;
  /** False to read every file. */
  readonly trustTimes: boolean;
}

/** In canonical order. @throws as {@link scanDirectory} */
export function* compareScan(compared: Compared): Generator<Candidate> {
  const { root, original, row, trustTimes } = compared;
  const tree = createLowerTree(original);
  const ignoreLinkCounts = row.method === 'fuse-overlayfs';
  const settled = new Set<ByteString>();
  for (const found of scanDirectory(root, { ...compared, ignoreLinkCounts })) {
    const { entry, stat } = found;
    const { path } = entry;
    // The root's own ctime is that of its last rename, or of a name added to it; the row's identity vouches for it.
    const isSettled = path === '/' || (settled.has(parentPath(path)) && isUnchangedSince(row.created, stat));
    if (entry.type === 'directory' && isSettled) settled.add(path);
    const before = tree.find(path);
    const origin = before?.type === entry.type ? before : undefined;
    if (row.method === 'hardlink' && isSharedByStore(tree, entry, origin))
      yield readAlone(root, found, origin);
    else if (trustTimes && path !== '/' && isSettled && isAsShown(compared, entry, origin))
      yield { entry: takeOver(origin!, entry), isTakenOver: true };
    else yield { ...readAll(root, found), origin };
  }
}

/**
 * Entries of the original that the checkout could not show, for the tree that was found: they are kept where their
 * directory is still there and nothing else has taken their name.
 */
export function hiddenEntries(
  original: readonly Entry[],
  unprojection: Unprojection,
  found: readonly Entry[],
): Entry[] {
  const hidden = original.filter((entry) => unprojection.shown(entry) === undefined);
  if (hidden.length === 0) return [];
  const types = new Map(found.map(({ path, type }) => [path, type]));
  const kept = hidden.filter(({ path }) => !types.has(path) && types.get(parentPath(path)) === 'directory');
  const paths = new Set(kept.map(({ path }) => path));
  const firsts = new Map<ByteString, ByteString>();
  return kept.map(({ hardlink, ...own }) => {
    const group = hardlink ?? own.path;
    const first = firsts.get(group);
    if (first === undefined) firsts.set(group, own.path);
    return first === undefined || !paths.has(first) ? own : { ...own, hardlink: first };
  });
}

function isAsShown(compared: Compared, entry: Entry, origin: Entry | undefined): boolean {
  const shown = origin && compared.unprojection.shown(origin);
  if (shown === undefined || shown.target !== entry.target || shown.rdev !== entry.rdev) return false;
  return shown.size === entry.size && shown.mtime === entry.mtime && shown.mtimeNsec === entry.mtimeNsec;
}

/** The original under the link that is there now; a group's first name may have gone. */
function takeOver({ hardlink: _, ...origin }: Entry, { hardlink }: Entry): Entry {
  return hardlink === undefined ? origin : { ...origin, hardlink };
}

/** Unsealed hard links: files of the same content share an inode though the tree does not say so. */
function isSharedByStore(tree: LowerTree, entry: Entry, origin: Entry | undefined): boolean {
  if (entry.hardlink === undefined || origin === undefined) return false;
  const first = tree.find(entry.hardlink);
  return tree.group(origin) === undefined || first === undefined || tree.group(origin) !== tree.group(first);
}

function readAlone(root: ByteString, { entry, stat }: Scanned, origin: Entry | undefined): Candidate {
  const { hardlink: _, ...own } = entry;
  return { ...readAll(root, { entry: own, stat }), origin };
}
