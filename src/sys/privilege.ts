/**
 * What this process may do beyond what an ordinary user may. Root alone does not say it: containers and sandboxes have a
 * root that may not mount, or that has only some of the user ids.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fromText } from '../core/bytes.ts';
import { isErrno } from './errno.ts';
import { cloneMount } from './mount-api.ts';

/** Ids that a distribution gives to users, services and nobody. */
const ordinaryIds = 65_536;

/**
 * Whether files can be given to whoever an image says: root, but not of a user namespace with a few ids
 * (`unshare --map-root-user`). Source: user_namespaces(7), "User and group ID mappings".
 */
export function mayGiveFilesAway(): boolean {
  return process.geteuid?.() === 0 && ['uid_map', 'gid_map'].every((map) => mappedIds(map) >= ordinaryIds);
}

/** Whether mounts can be made here, in this mount namespace. */
export function mayMount(): boolean {
  try {
    cloneMount(fromText('/'))[Symbol.dispose]();
    return true;
  } catch (error) {
    // The right to mount is asked for first. Of a root with mounts below that its namespace may not part from it (those
    // that a user namespace began with) there is no copy by itself, but mounts can be made all the same.
    if (isErrno(error, 'EINVAL')) return true;
    // Filters of system calls answer with either.
    if (isErrno(error, 'EPERM', 'ENOSYS')) return false;
    throw error;
  }
}

/** Of the first {@link ordinaryIds}, whichever ids of the parent they are; a kernel without user namespaces has no maps. */
function mappedIds(map: string): number {
  const file = `/proc/self/${map}`;
  if (!existsSync(file)) return ordinaryIds;
  const ranges = readFileSync(file, 'utf8').trim().split('\n');
  return ranges.reduce((sum, range) => {
    const [first, , count] = range.trim().split(/\s+/).map(Number);
    return sum + Math.max(0, Math.min(first! + count!, ordinaryIds) - first!);
  }, 0);
}
