/** `cellar files`: the paths of a tree with their metadata, read from its manifest. */
import { toText } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { parsePlatform } from '../core/platform.ts';
import { major, minor } from '../core/rdev.ts';
import { openStore } from '../store/store.ts';
import { readTree } from '../store/trees.ts';
import type { Entry, EntryType } from '../tree/entry.ts';
import { entriesBelow, findEntry } from '../tree/lookup.ts';
import type { Context } from './context.ts';
import { resolveTree } from './resolve-tree.ts';
import { shownPath, writtenPath, type ShownPath } from './shown-path.ts';

export interface FilesOptions {
  readonly reference: string;
  /** Only this path and what lies below it; default all. */
  readonly path?: string | undefined;
  readonly platform?: string | undefined;
}

export interface ListedFile extends ShownPath {
  readonly type: EntryType;
  /** Four octal digits. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds since the epoch, and the nanoseconds beyond. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  readonly digest?: Digest;
  readonly target?: string;
  readonly hardlink?: string;
  readonly major?: number;
  readonly minor?: number;
  /** Names only. */
  readonly xattrs?: readonly string[];
}

export interface FilesResult {
  readonly reference: string;
  readonly tree: Digest;
  readonly count: number;
  /** Made while it is iterated, so that a million paths are not all held at once. May be iterated again. */
  readonly entries: Iterable<ListedFile>;
}

/** @throws E_NOT_FOUND, E_PATH_NOT_FOUND, E_NOT_A_TREE, E_TREE_DAMAGED */
export async function files(context: Context, options: FilesOptions): Promise<FilesResult> {
  const platform = options.platform === undefined ? undefined : parsePlatform(options.platform);
  using store = openStore(context.storeRoot, { readOnly: true });
  const { tree } = await resolveTree(context, store, options.reference, { platform });
  const entries = readTree(store, tree);
  const { path: given = '/' } = options;
  const path = writtenPath(() => entries, given);
  if (findEntry(entries, path) === undefined)
    throw new CellarError('E_PATH_NOT_FOUND', {
      details: { path: toText(path), reference: options.reference },
    });
  const chosen = path === '/' ? entries : [...entriesBelow(entries, path)];
  return {
    reference: options.reference,
    tree,
    count: chosen.length,
    entries: { [Symbol.iterator]: () => chosen.values().map(listedFile) },
  };
}

function listedFile(entry: Entry): ListedFile {
  const { type, uid, gid, size, mtime, mtimeNsec, digest, target, hardlink, xattrs, rdev } = entry;
  const isDevice = type === 'char' || type === 'block';
  return {
    ...shownPath(entry.path),
    type,
    mode: entry.mode.toString(8).padStart(4, '0'),
    ...{ uid, gid, size, mtime, mtimeNsec },
    ...(digest === undefined ? {} : { digest }),
    ...(target === undefined ? {} : { target: toText(target) }),
    ...(hardlink === undefined ? {} : { hardlink: toText(hardlink) }),
    ...(isDevice ? { major: major(rdev), minor: minor(rdev) } : {}),
    ...(xattrs.length === 0 ? {} : { xattrs: xattrs.map(([name]) => toText(name)) }),
  };
}
