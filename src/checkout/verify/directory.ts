/** Whether a directory holds a tree, with all its metadata; for what was written to be put in service. */
import { closeSync, constants, openSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { toBytes, type ByteString } from '../../core/bytes.ts';
import { isCellarError } from '../../core/errors.ts';
import { withoutAmbient } from '../../store/variants.ts';
import { isUnchangedSince } from '../../sys/inode-clock.ts';
import { sameXattrs } from '../../tree/canonical.ts';
import { scanDirectory, type Scanned } from '../../tree/directory.ts';
import type { Entry } from '../../tree/entry.ts';
import { readVerified } from './object.ts';

export interface HoldsOptions {
  /**
   * A moment of `inodeMoment` in which the directory's files held what they should: content that has not changed since
   * is not read again. 0 to read all.
   */
  readonly since: number;
  readonly signal: AbortSignal;
}

/**
 * The first path, in canonical order, that is not as the tree has it, is missing or is too many.
 * @throws E_NOT_ALLOWED, E_SOURCE_CHANGED, E_CANCELLED, E_IO
 */
export async function firstDifference(
  directory: ByteString,
  entries: readonly Entry[],
  { since, signal }: HoldsOptions,
): Promise<ByteString | undefined> {
  let at = 0;
  for (const found of scanDirectory(directory, { signal })) {
    const wanted = entries[at++];
    const { path } = found.entry;
    if (wanted?.path !== path) return wanted === undefined || path < wanted.path ? path : wanted.path;
    if (!isSame(found.entry, wanted)) return path;
    if (wanted.hardlink === undefined && !holdsContent(directory, found, wanted, since)) return path;
    if (at % turnEvery === 0) await setImmediate();
  }
  return entries[at]?.path;
}

/** Entries between two turns of the event loop, in which a signal can fire. */
const turnEvery = 256;

function isSame(found: Entry, wanted: Entry): boolean {
  return (
    found.type === wanted.type &&
    found.mode === wanted.mode &&
    found.uid === wanted.uid &&
    found.gid === wanted.gid &&
    found.mtime === wanted.mtime &&
    found.mtimeNsec === wanted.mtimeNsec &&
    found.size === wanted.size &&
    found.rdev === wanted.rdev &&
    found.target === wanted.target &&
    found.hardlink === wanted.hardlink &&
    sameXattrs(withoutAmbient(found.xattrs, wanted.xattrs), wanted.xattrs)
  );
}

function holdsContent(directory: ByteString, { stat }: Scanned, wanted: Entry, since: number): boolean {
  const { digest, path } = wanted;
  if (digest === undefined || isUnchangedSince(since, stat)) return true;
  const fd = openSync(toBytes(directory + path), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    readVerified(fd, digest);
    return true;
  } catch (error) {
    if (!isCellarError(error, 'E_OBJECT_DAMAGED')) throw error;
    return false;
  } finally {
    closeSync(fd);
  }
}
