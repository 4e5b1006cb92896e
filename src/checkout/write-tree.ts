/**
 * A tree written into a directory that somebody else made and keeps, such as a subvolume of his. Where it holds another
 * tree already, as a snapshot does, only what differs is touched; everything else goes on sharing what it shared.
 */
import { chmodSync, rmdirSync, unlinkSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { EventSink } from '../core/events.ts';
import { refuseDamaged } from '../store/damaged.ts';
import type { Store } from '../store/store.ts';
import { readTree, treeObjects, treeRow } from '../store/trees.ts';
import { isAmbientXattr } from '../store/variants.ts';
import { toCellarError } from '../sys/errno.ts';
import { listXattrs, removeXattr } from '../sys/xattr.ts';
import { planDelta, type Delta } from '../tree/delta.ts';
import type { Entry } from '../tree/entry.ts';
import { setPathMetadata, type Rights } from './materialize/metadata.ts';
import { materialize } from './materialize/materialize.ts';

export interface WriteTree {
  readonly store: Store;
  readonly tree: Digest;
  /** Exists: empty, or holding the tree `from`. */
  readonly directory: ByteString;
  readonly from?: Digest | undefined;
  /** Private directory on the store's file system. */
  readonly staging: string;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/**
 * By root, who alone can set owners back. Content is a reflink where the file systems allow that, else a copy; objects are
 * hashed as far as they have changed since they were last found right. On failure the directory holds neither tree.
 * @throws E_OBJECT_MISSING, E_OBJECT_DAMAGED, E_TREE_MISSING, E_NO_SPACE, E_CANCELLED
 */
export async function writeTree(request: WriteTree): Promise<void> {
  const { store, tree, directory, from, signal } = request;
  refuseDamaged(store, () => treeObjects(store, tree));
  const next = readTree(store, tree);
  if (from === undefined) {
    await write(request, next, false);
    return;
  }
  const delta = planDelta(readTree(store, from), next);
  try {
    await apply(directory, delta, signal);
  } catch (error) {
    throw toCellarError(error, { doing: 'updating', path: toText(directory) });
  }
  if (delta.make.length > 0) await write(request, delta.make, true);
}

async function write(request: WriteTree, entries: readonly Entry[], isOver: boolean): Promise<void> {
  const { store, tree, directory, staging, signal, events } = request;
  const { files, verifiedAt } = treeRow(store, tree);
  await materialize(() => entries, {
    ...{ store: store.root, target: directory, content: 'reflink', privileged: true, staging },
    ...{ expected: Math.min(files, entries.length), hashNewer: verifiedAt, rootExists: true },
    ...{ directoriesExist: isOver, signal, events },
  });
}

async function apply(
  directory: ByteString,
  { remove, restamp: stamped, reset: directories }: Delta,
  signal: AbortSignal,
): Promise<void> {
  const steps: [readonly Entry[], (path: ByteString, entry: Entry) => void][] = [
    [directories, reset],
    [remove, (path, { type }) => (type === 'directory' ? rmdirSync : unlinkSync)(toBytes(path))],
    [stamped, restamp],
  ];
  let done = 0;
  for (const [entries, step] of steps)
    for (const entry of entries) {
      step(pathIn(directory, entry), entry);
      if (++done % turnEvery !== 0) continue;
      await setImmediate();
      if (signal.aborted) throw new CellarError('E_CANCELLED');
    }
}

/** Entries between two turns of the event loop, in which a signal can fire. */
const turnEvery = 256;

/** So that nothing it has rubs off on what is made in it. */
function reset(path: ByteString): void {
  restamp(path, { ...bare, type: 'directory' });
}

/** Owner, mode, xattrs and time of what is there already, whatever it had. */
export function restamp(path: ByteString, entry: Omit<Entry, 'path'>): void {
  const wanted = new Set(entry.xattrs.map(([name]) => name));
  for (const [name] of listXattrs(path))
    if (!wanted.has(name) && !isAmbientXattr(name)) removeXattr(path, name);
  const symlink = entry.type === 'symlink';
  // Writable first: some kernels let nobody set attributes of what is read-only.
  if (!symlink) chmodSync(toBytes(path), 0o700);
  setPathMetadata(path, entry, { rights: anybody, symlink, skipped: { owners: 0, devices: 0, xattrs: 0 } });
}

/** Nothing is known of who owns what is there, so the owner is always set. */
const anybody: Rights = { privileged: true, uid: -1, gid: -1, umask: 0 };

const bare: Omit<Entry, 'path' | 'type'> = {
  ...{ mode: 0o700, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: [], size: 0, rdev: 0 },
};

function pathIn(directory: ByteString, { path }: Entry): ByteString {
  return path === '/' ? directory : directory + path;
}
