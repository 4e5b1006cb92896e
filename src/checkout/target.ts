/**
 * The directory a checkout appears in. Files are written to a directory beside it and renamed into place when all is
 * there, so that no one ever sees half a tree; a mount point is made when it is absent.
 */
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, realpathSync, renameSync, type Stats } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { fromBytes, fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { identityOf } from '../store/checkouts.ts';
import { mountsAt } from '../sys/mountinfo.ts';
import { childPath, parentPath } from '../tree/entry.ts';
import type { CheckoutRequest } from './port.ts';

/** From what a user typed to an absolute path without symlinks in its parents. The last part need not exist. */
export function resolveTarget(text: string): ByteString {
  const path = resolve(text);
  if (path === '/') return '/';
  const name = fromText(basename(path));
  return childPath(realParent(dirname(path)), name);
}

/** Absent, or an empty directory on which nothing is mounted. @throws E_DESTINATION_EXISTS, E_SOURCE_NOT_FOUND */
export function checkTarget(target: ByteString): void {
  const path = toText(target);
  if (target === '/') throw exists(path, 'choose another directory');
  if (mountsAt(target).length > 0)
    throw exists(path, 'something is mounted there: unmount it, or choose another directory');
  const stat = statIfThere(target);
  if (stat === undefined) {
    if (statIfThere(parentPath(target))?.isDirectory() !== true) throw noParent(toText(parentPath(target)));
    return;
  }
  if (!stat.isDirectory() || readdirSync(toBytes(target)).length > 0) throw exists(path);
}

/** Make the mount point if it is absent; true when it was made. */
export function makeMountPoint({ target, note }: CheckoutRequest): boolean {
  if (statIfThere(target) !== undefined) return false;
  note({ undo: 'rmdir', path: target });
  mkdirSync(toBytes(target), 0o755);
  return true;
}

/** A new name beside the target, noted for removal. */
export function buildPath({ target, note }: CheckoutRequest): ByteString {
  const path = childPath(parentPath(target), `.cellar-${randomBytes(6).toString('hex')}`);
  note({ undo: 'remove', path });
  return path;
}

/** Rename what was built onto the target, which rename(2) replaces only while it is an empty directory. */
export function publish({ target, note }: CheckoutRequest, built: ByteString): boolean {
  const made = statIfThere(target) === undefined;
  note({ undo: 'remove-if', path: target, identity: identityOf(built) });
  try {
    renameSync(toBytes(built), toBytes(target));
  } catch (error) {
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR', 'EBUSY')) throw exists(toText(target));
    throw error;
  }
  return made;
}

function realParent(path: string): ByteString {
  try {
    return fromBytes(realpathSync.native(path, 'buffer'));
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    throw noParent(path, error);
  }
}

function noParent(path: string, cause?: unknown): CellarError {
  return new CellarError('E_SOURCE_NOT_FOUND', {
    details: { source: path },
    hint: `'mkdir -p ${path}' makes it`,
    cause,
  });
}

function statIfThere(path: ByteString): Stats | undefined {
  return lstatSync(toBytes(path), { throwIfNoEntry: false });
}

function exists(path: string, hint?: string): CellarError {
  return new CellarError('E_DESTINATION_EXISTS', {
    details: { path },
    ...(hint === undefined ? {} : { hint }),
  });
}
