/**
 * Staging of one object: is it in the store already, and if not, write it with its inode metadata into the
 * transaction's directory. Several workers stage side by side; the exclusive create decides who brings what.
 */
import { closeSync, fchmodSync, fchownSync, openSync, linkSync, statSync, unlinkSync } from 'node:fs';
import type { Digest } from '../../core/digest.ts';
import { digestPath } from '../../core/digest.ts';
import { setTimes } from '../../sys/metadata.ts';
import { startWriteback } from '../../sys/syncfs.ts';
import { writeFully } from '../../sys/write-fully.ts';
import { setXattrFd } from '../../sys/xattr.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import type { WorkerSetup } from './protocol.ts';
import { isErrno } from '../../sys/errno.ts';

export interface Stager {
  readonly setup: WorkerSetup;
  /** Whose a new file is: root's, but its group may come from the process or, above the store, from a directory. */
  readonly owner: Owner;
  /** A guess from how the last large file went. */
  expectPresent: boolean;
  /** True when the store had no such object. For content that is small enough to be written at once. */
  stage(digest: Digest, content: Uint8Array, meta: InodeMeta): boolean;
  /** The staged object's file, empty and open for writing; `undefined` when there is nothing to be brought. */
  claim(
    digest: Digest,
    size: number,
    mode?: number,
  ): { readonly fd: number; readonly path: string } | undefined;
  /** Is it published in the store, whole? */
  has(digest: Digest, size: number): boolean;
  /** Turn a finished temporary file into the staged object, or drop it when it is already there. */
  adopt(temporary: string, fd: number, digest: Digest, size: number, meta: InodeMeta): boolean;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Content whose digest is known. */
export interface Stored {
  readonly digest: Digest;
  /** Whether the store had no such object; where it is still being written, once it is. */
  readonly isNew: boolean | Promise<boolean>;
}

/** Digests remembered as present: what is forgotten is only looked up again. */
const mostSeen = 1 << 16;
/** From this size on a file's pages are sent to the medium at once, while there is other work to do. */
const worthWriting = 128 << 10;
/** While it is written, where the right one could not be given at once or a second descriptor will be needed. */
const temporaryMode = 0o600;

export function createStager(setup: WorkerSetup): Stager {
  const seen = new Set<Digest>();
  const remember = (digest: Digest): void => {
    if (seen.size === mostSeen) seen.clear();
    seen.add(digest);
  };
  const damaged = new Set(setup.damaged);
  /** Bits of a mode that a file does not get, or does not keep, by being created with it. */
  const lost = 0o7000 | process.umask();
  // Made by this process a moment ago.
  const owner = statSync(setup.staging);
  const stager: Stager = {
    setup,
    owner,
    expectPresent: !setup.storeIsEmpty,
    has(digest, size) {
      if (seen.has(digest)) return true;
      if (setup.storeIsEmpty) return false;
      const found = statSync(`${setup.objects}/${digestPath(digest)}`, { throwIfNoEntry: false });
      // An object of another size is damaged: bring a good one, publishing replaces it.
      if (found === undefined || found.size !== size || damaged.has(digest)) return false;
      remember(digest);
      return true;
    },
    claim(digest, size, mode = temporaryMode) {
      if (stager.has(digest, size)) return undefined;
      remember(digest);
      const path = `${setup.staging}/${digestPath(digest)}`;
      const fd = createExclusive(path, mode);
      return fd === undefined ? undefined : { fd, path };
    },
    stage(digest, content, meta) {
      const wanted = storedMode(meta, setup.privileged);
      const mode = (wanted & lost) === 0 ? wanted : temporaryMode;
      const claimed = stager.claim(digest, content.length, mode);
      if (claimed === undefined) return false;
      const { fd } = claimed;
      try {
        writeFully(fd, content);
        applyMeta(fd, meta, setup.privileged, { owner, mode });
        if (content.length >= worthWriting) startWriteback(fd);
      } finally {
        closeSync(fd);
      }
      return true;
    },
    adopt(temporary, fd, digest, size, meta) {
      let isNew = !stager.has(digest, size);
      if (isNew) {
        applyMeta(fd, meta, setup.privileged, { owner });
        // Another worker may have brought the same content meanwhile: then that one counts.
        isNew = linkExclusive(temporary, `${setup.staging}/${digestPath(digest)}`);
        remember(digest);
      }
      unlinkSync(temporary);
      return isNew;
    },
  };
  return stager;
}

/**
 * The object's inode carries the metadata of the first tree that brought it, so that hard-link checkouts need
 * no copy. What this file system cannot hold stays in the manifest alone and fails nothing.
 * @param has what is known of the file
 */
export function applyMeta(
  fd: number,
  meta: InodeMeta,
  privileged: boolean,
  has: { readonly owner?: Owner; readonly mode?: number } = {},
): void {
  const mode = storedMode(meta, privileged);
  if (privileged && (meta.uid !== has.owner?.uid || meta.gid !== has.owner.gid))
    fchownSync(fd, meta.uid, meta.gid);
  if (mode !== has.mode) fchmodSync(fd, mode);
  for (const [name, value] of meta.xattrs) {
    try {
      setXattrFd(fd, name, value);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
    }
  }
  setTimes(fd, { mtime: meta.mtime, mtimeNsec: meta.mtimeNsec });
}

/** Without root the owner must still be able to read what it stored. */
function storedMode({ mode }: InodeMeta, privileged: boolean): number {
  return privileged ? mode : mode | 0o400;
}

function createExclusive(file: string, mode: number): number | undefined {
  try {
    return openSync(file, 'wx', mode);
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return undefined;
    throw error;
  }
}

function linkExclusive(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** ENOSPC and EDQUOT too: ext4 answers so for an xattr that does not fit the inode's one block. */
function isUnsupported(error: unknown): boolean {
  return isErrno(error, 'EOPNOTSUPP', 'EPERM', 'EACCES', 'E2BIG', 'ERANGE', 'ENOSPC', 'EDQUOT', 'EINVAL');
}
