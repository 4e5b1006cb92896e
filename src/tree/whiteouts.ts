/**
 * How a layer says that something below it is gone. Sources: OCI image-spec "Whiteouts"; kernel documentation
 * overlayfs.rst "whiteouts and opaque directories" and its xattr form for nested layers.
 */
import type { ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { noXattrs, parentPath, type Entry } from './entry.ts';

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
    if (name === opaqueName) opaque.add(parent);
    else if (!name.startsWith(metaPrefix)) removed.add(joined(parent, hiddenName(path, name)));
    return false;
  });
  return { entries: kept, removed, opaque };
}

function hiddenName(path: ByteString, whiteout: ByteString): ByteString {
  const name = whiteout.slice(prefix.length);
  if (name !== '' && name !== '.' && name !== '..') return name;
  throw new CellarError('E_TREE_INVALID', { details: { path, problem: 'it is a whiteout of no name' } });
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
      throw new CellarError('E_TREE_INVALID', { details: { path: entry.path, problem } });
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

function joined(parent: ByteString, name: ByteString): ByteString {
  return parent === '/' ? `/${name}` : `${parent}/${name}`;
}
