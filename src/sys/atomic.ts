/** Small files (records, configuration, units) that are whole after a crash: old content or new, never part of it. */
import { closeSync, fchmodSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { toBytes, type ByteString } from '../core/bytes.ts';

/**
 * Temporary file beside it, fsync, rename over `path`, fsync of the directory. `mode` (0o644) is set exactly,
 * whatever the umask. A symlink at `path` is replaced, not followed.
 */
export function writeFileAtomic(
  path: ByteString,
  data: Uint8Array | string,
  options: { readonly mode?: number } = {},
): void {
  const directory = directoryOf(path);
  const base = path.slice(path.lastIndexOf('/') + 1).slice(0, 200);
  const temporary = toBytes(`${directory}/.${base}.${randomBytes(6).toString('hex')}`);
  try {
    const fd = openSync(temporary, 'wx', 0o600);
    try {
      writeFileSync(fd, data);
      fchmodSync(fd, options.mode ?? 0o644);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, toBytes(path));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  fsyncDir(directory);
}

/** Makes renames, links and removals in a directory durable. */
export function fsyncDir(path: ByteString): void {
  const fd = openSync(toBytes(path), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function directoryOf(path: ByteString): ByteString {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '.' : slash === 0 ? '/' : path.slice(0, slash);
}
