/**
 * Remove a tree of files as its owner or as root: like `rm -rf`, but never into another file system, and also
 * through directories whose mode keeps their own owner out (work directories of overlays, 0555 directories of images).
 */
import { chmodSync, lstatSync, readdirSync, rmSync } from 'node:fs';
import { toBytes, toText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno } from '../sys/errno.ts';
import { mountsAt } from '../sys/mountinfo.ts';
import { isSubvolume } from '../sys/subvolume.ts';
import { tryVolumeProgram } from '../sys/volume-program.ts';

/** Absent is fine; a btrfs subvolume goes as one. @throws E_CHECKOUT_BUSY when something is mounted in it */
export function removeTree(path: ByteString): void {
  if (mountsAt(path, { below: true }).length > 0)
    throw new CellarError('E_CHECKOUT_BUSY', { details: { path: toText(path) } });
  if (isSubvolume(path) && deleteSubvolume(path)) return;
  try {
    remove(path);
  } catch (error) {
    if (!isErrno(error, 'EACCES', 'EPERM')) throw error;
    openUp(path);
    remove(path);
  }
}

function remove(path: ByteString): void {
  rmSync(toBytes(path), { recursive: true, force: true });
}

function openUp(path: ByteString): void {
  const bytes = toBytes(path);
  if (!lstatSync(bytes).isDirectory()) return;
  chmodSync(bytes, 0o700);
  for (const entry of readdirSync(bytes, { encoding: 'latin1', withFileTypes: true }))
    if (entry.isDirectory()) openUp(`${path}/${entry.name}`);
}

/** False when it could not be deleted in one step; file by file may still do. */
function deleteSubvolume(path: ByteString): boolean {
  const text = toBytes(path).toString('utf8');
  return tryVolumeProgram('btrfs', ['subvolume', 'delete', '--', text]).status === 0;
}
