/** How a layer of an OCI image says that something below it is gone. Source: OCI image-spec, "Whiteouts". */
import { toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { childPath, parentPath, type Entry } from './entry.ts';

export interface Layer {
  /** Without its whiteouts. */
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

/** @throws E_TREE_INVALID for a whiteout of nothing, `.` or `..` */
export function readWhiteouts(entries: readonly Entry[]): Layer {
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
