/**
 * The way back from project.ts: what a checkout shows is not all that its tree says. Owners may be shifted or the
 * user's own, times clamped, devices and root's xattrs missing. A commit compares with what the checkout showed when
 * it was made, field by field, and whatever is still as it was shown keeps what the tree says.
 */
import { fromBytes, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import type { CheckoutRow } from '../store/checkouts.ts';
import type { Entry, Xattrs } from '../tree/entry.ts';
import { parseIdMap, shiftEntry, shiftId, shiftXattrs, type IdMap } from './idmap.ts';
import { mayHold } from './materialize/metadata.ts';
import { clampTime } from '../store/variants.ts';

export interface Unprojection {
  /** The entry as the checkout showed it; `undefined` for a device that its maker was not allowed to make. */
  shown(original: Entry): Entry | undefined;
  /**
   * What was found, in the tree's terms. `original` is the entry that it is a later state of, if there is one.
   * @throws E_TREE_INVALID for an owner outside the checkout's id map
   */
  restore(found: Entry, original: Entry | undefined): Entry;
}

export function createUnprojection(
  row: Pick<CheckoutRow, 'idmap' | 'mtime' | 'privileged' | 'uid' | 'gid'>,
): Unprojection {
  const idmap = row.idmap === undefined ? undefined : parseIdMap(row.idmap);
  const back = idmap && { container: idmap.host, host: idmap.container, length: idmap.length };

  function shown(original: Entry): Entry | undefined {
    const shifted = idmap === undefined ? original : shiftEntry(original, idmap);
    const entry = row.mtime === 'clamp' ? { ...shifted, mtime: clampTime, mtimeNsec: 0 } : shifted;
    if (row.privileged) return entry;
    if (entry.type === 'char' || entry.type === 'block') return undefined;
    const xattrs = entry.xattrs.filter(([name]) => mayHold(name, row));
    return { ...entry, uid: row.uid, gid: row.gid, xattrs };
  }

  function restore(found: Entry, candidate: Entry | undefined): Entry {
    const original = candidate?.type === found.type ? candidate : undefined;
    const before = original && shown(original);
    const keepsMode = found.mode === before?.mode || found.type === 'symlink';
    const keepsTime = found.mtime === before?.mtime && found.mtimeNsec === before.mtimeNsec;
    const owner = (id: number, shownId: number | undefined, originalId: number | undefined): number =>
      id === shownId && originalId !== undefined ? originalId : unshiftId(id, back, found.path);
    return {
      ...found,
      mode: (keepsMode ? original?.mode : undefined) ?? found.mode,
      uid: owner(found.uid, before?.uid, original?.uid),
      gid: owner(found.gid, before?.gid, original?.gid),
      mtime: (keepsTime ? original?.mtime : undefined) ?? found.mtime,
      mtimeNsec: (keepsTime ? original?.mtimeNsec : undefined) ?? found.mtimeNsec,
      xattrs: restoreXattrs(found, { original, before, back }),
    };
  }
  return { shown, restore };
}

interface Past {
  readonly original: Entry | undefined;
  readonly before: Entry | undefined;
  readonly back: IdMap | undefined;
}

/** What was never shown cannot have been removed; what is as it was shown stays as the tree has it. */
function restoreXattrs(found: Entry, { original, before, back }: Past): Xattrs {
  if (found.xattrs.length === 0 && (original?.xattrs.length ?? 0) === 0) return found.xattrs;
  const result = new Map<ByteString, ByteString>();
  const wasShown = new Map(before?.xattrs);
  const originals = new Map(original?.xattrs);
  const isRewritten = found.type === 'file' && found.digest !== original?.digest;
  for (const [name, value] of originals) {
    // The kernel takes capabilities away from a file that is written to; it would have done so here.
    if (!wasShown.has(name) && !(isRewritten && name === 'security.capability')) result.set(name, value);
  }
  for (const [name, value] of found.xattrs) {
    const isAsShown = wasShown.get(name) === value;
    result.set(name, isAsShown ? originals.get(name)! : unshiftXattr([name, value], back, found.path));
  }
  return [...result].sort(([a], [b]) => (a < b ? -1 : 1));
}

function unshiftId(id: number, back: IdMap | undefined, path: ByteString): number {
  return back === undefined ? id : inTree(path, () => shiftId(id, back, path));
}

function unshiftXattr([name, value]: Xattrs[number], back: IdMap | undefined, path: ByteString): ByteString {
  if (back === undefined) return value;
  if (name === 'security.capability') return inTree(path, () => unshiftCapability(value, back, path));
  return inTree(path, () => shiftXattrs([[name, value]], back, path)[0]![1]);
}

/** Revision 3 for the root of a namespace (linux/capability.h) becomes revision 2, which is for root itself. */
function unshiftCapability(value: ByteString, back: IdMap, path: ByteString): ByteString {
  const bytes = toBytes(value);
  if (bytes.length < 24) return value;
  const rootId = shiftId(bytes.readUInt32LE(20), back, path);
  bytes.writeUInt32LE(rootId, 20);
  if (rootId !== 0) return fromBytes(bytes);
  bytes.writeUInt32LE((0x02000000 | (bytes.readUInt32LE(0) & 0xffffff)) >>> 0, 0);
  return fromBytes(bytes.subarray(0, 20));
}

function inTree<T>(path: ByteString, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!isCellarError(error, 'E_USAGE')) throw error;
    throw new CellarError('E_TREE_INVALID', {
      details: { path: toText(path), problem: 'its owner lies outside the id map of the checkout' },
      hint: 'give it an owner within the map, or leave it out with --exclude',
      cause: error,
    });
  }
}
