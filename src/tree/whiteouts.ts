/**
 * How a layer says that something below it is gone. Sources: OCI image-spec "Whiteouts"; kernel documentation
 * overlayfs.rst "whiteouts and opaque directories" and its xattr form for nested layers.
 */
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { childPath, noXattrs, parentPath, type Entry } from './entry.ts';

export type WhiteoutForm = 'none' | 'oci' | 'overlay';

export interface Layer {
  /** Without its whiteouts and marks. */
  readonly entries: readonly Entry[];
  /** Paths below that are taken away, with all they hold. */
  readonly removed: ReadonlySet<ByteString>;
  /** Directories that show nothing of what lies below. */
  readonly opaque: ReadonlySet<ByteString>;
}

const prefix = '.wh.';
const opaqueName = '.wh..wh..opq';
/** aufs kept its own files under this prefix; they never belong to the tree. */
const metaPrefix = '.wh..wh.';
const overlayXattr = /^(?:trusted|user)\.overlay\.(.+)$/;

/** @throws E_TREE_INVALID for a whiteout of nothing, `.` or `..`, and for what overlayfs would take from elsewhere */
export function readLayer(entries: readonly Entry[], form: WhiteoutForm): Layer {
  if (form === 'none') return { entries, removed: new Set(), opaque: new Set() };
  return form === 'oci' ? readOci(entries) : readOverlay(entries);
}

/**
 * What an OCI layer takes away by this name: a path, or all that lies below a directory.
 * @throws E_TREE_INVALID for a whiteout of nothing, `.` or `..`
 */
export function whiteoutOf(path: ByteString): { kind: 'removed' | 'opaque'; path: ByteString } | undefined {
  const whiteout = path.slice(path.lastIndexOf('/') + 1);
  if (!whiteout.startsWith(prefix)) return undefined;
  const parent = parentPath(path);
  if (whiteout === opaqueName) return { kind: 'opaque', path: parent };
  if (whiteout.startsWith(metaPrefix)) return undefined;
  const name = whiteout.slice(prefix.length);
  if (name !== '' && name !== '.' && name !== '..') return { kind: 'removed', path: childPath(parent, name) };
  const problem = 'it is a whiteout of no name';
  throw new CellarError('E_TREE_INVALID', { details: { path: toText(path), problem } });
}

function readOci(entries: readonly Entry[]): Layer {
  const removed = new Set<ByteString>();
  const opaque = new Set<ByteString>();
  const dropped = new Set<ByteString>();
  const kept = entries.filter(({ path }) => {
    const parent = parentPath(path);
    const name = path.slice(path.lastIndexOf('/') + 1);
    if (path !== '/' && dropped.has(parent)) {
      dropped.add(path);
      return false;
    }
    if (!name.startsWith(prefix)) return true;
    dropped.add(path);
    const whiteout = whiteoutOf(path);
    if (whiteout?.kind === 'opaque') opaque.add(parent);
    else if (whiteout !== undefined) removed.add(whiteout.path);
    return false;
  });
  return { entries: kept, removed, opaque };
}

function readOverlay(entries: readonly Entry[]): Layer {
  const removed = new Set<ByteString>();
  const opaque = new Set<ByteString>();
  const kept: Entry[] = [];
  for (const entry of entries) {
    const marks = new Map(entry.xattrs.map(([name, value]) => [overlayXattr.exec(name)?.[1], value]));
    if ((entry.type === 'char' && entry.rdev === 0) || (entry.type === 'file' && marks.has('whiteout'))) {
      removed.add(entry.path);
      continue;
    }
    if (marks.has('redirect') || marks.has('metacopy')) {
      const problem = 'overlayfs takes its content from a layer that is not here';
      throw new CellarError('E_TREE_INVALID', { details: { path: toText(entry.path), problem } });
    }
    if (entry.type === 'directory' && marks.get('opaque') === 'y') opaque.add(entry.path);
    kept.push(withoutMarks(entry));
  }
  return { entries: kept, removed, opaque };
}

function withoutMarks(entry: Entry): Entry {
  if (entry.xattrs.length === 0) return entry;
  const xattrs = entry.xattrs.filter(([name]) => !overlayXattr.test(name));
  if (xattrs.length === entry.xattrs.length) return entry;
  return { ...entry, xattrs: xattrs.length === 0 ? noXattrs : xattrs };
}
