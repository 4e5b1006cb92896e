/**
 * The mount API of Linux 5.2 (fsopen(2), fsmount(2), move_mount(2), open_tree(2), mount_setattr(2)), one function per
 * step. Mounts are descriptors until they are attached: nothing is visible, and nothing must be undone, before then.
 * Options go in one by one, so no character of a path needs escaping, and the kernel says in words what it refused.
 */
import { readSync } from 'node:fs';
import type { ByteString } from '../core/bytes.ts';
import { descriptor, type Descriptor } from './descriptor.ts';
import { SysError, errnos } from './errno.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  cPath,
  cString,
  check,
  emptyPath,
  lastErrno,
  libc,
  sysError,
} from './libc.ts';

/** A parameter of a file system: a flag (`true`), a string of at most 255 bytes, or an open directory. */
export type Parameter = readonly [key: string, value: true | ByteString | Descriptor];

export const MOUNT_ATTR_RDONLY = 1;
export const MOUNT_ATTR_IDMAP = 0x100000;

/**
 * A detached mount of a new (or shared, for the same block device) file system. `attributes` are MOUNT_ATTR_* bits.
 * @throws SysError whose message is the kernel's own where it gave one
 */
export function createMount(
  type: string,
  options: { readonly parameters: readonly Parameter[]; readonly attributes?: number },
): Descriptor {
  using context = descriptor(check(libc().fsopen(cString(type), CLOEXEC), 'fsopen', type));
  const { fd } = context;
  for (const [key, value] of options.parameters) configure(fd, key, value);
  if (libc().fsconfig(fd, FSCONFIG_CMD_CREATE, null, null, 0) === -1) throw refused(fd, `mount ${type}`);
  return descriptor(check(libc().fsmount(fd, CLOEXEC, options.attributes ?? 0), 'fsmount', type));
}

/** A detached copy of the mount that `path` lies in, rooted at `path`; with `recursive`, of what is mounted below too. */
export function cloneMount(path: ByteString, options: { readonly recursive?: boolean } = {}): Descriptor {
  const flags = OPEN_TREE_CLONE | O_CLOEXEC | (options.recursive === true ? AT_RECURSIVE : 0);
  return descriptor(check(libc().open_tree(AT_FDCWD, cPath(path), flags), 'open_tree', path));
}

/** Changes MOUNT_ATTR_* bits of one mount, given by a descriptor of its root. Linux 5.12. */
export function setMountAttributes(
  mount: Descriptor,
  change: { readonly set: number; readonly userNamespace?: number },
): void {
  // struct mount_attr: u64 attr_set, attr_clr, propagation, userns_fd.
  const attributes = Buffer.alloc(32);
  attributes.writeUInt32LE(change.set, 0);
  attributes.writeUInt32LE(change.userNamespace ?? 0, 24);
  check(
    libc().mount_setattr(mount.fd, emptyPath, AT_EMPTY_PATH, attributes, attributes.length),
    'mount_setattr',
  );
}

/** Makes a detached mount visible at `target`, an existing directory (or file, for a file's bind mount). */
export function attachMount(mount: Descriptor, target: ByteString): void {
  check(
    libc().move_mount(mount.fd, emptyPath, AT_FDCWD, cPath(target), MOVE_MOUNT_F_EMPTY_PATH),
    'move_mount',
    target,
  );
}

/**
 * Unmounts the topmost mount at `target`, a symlink there is not followed. `detach` hides it at once and frees it when
 * its last user is gone. False when nothing was mounted there. @throws SysError EBUSY (without `detach`), EPERM
 */
export function unmount(target: ByteString, options: { readonly detach?: boolean } = {}): boolean {
  const flags = UMOUNT_NOFOLLOW | (options.detach === true ? MNT_DETACH : 0);
  if (libc().umount2(cPath(target), flags) === 0) return true;
  if (lastErrno() === errnos.EINVAL) return false;
  throw sysError('umount2', target);
}

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
/** FSOPEN_CLOEXEC and FSMOUNT_CLOEXEC. */
const CLOEXEC = 1;
const O_CLOEXEC = 0x80000;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const MOVE_MOUNT_F_EMPTY_PATH = 4;
const FSCONFIG_SET_FLAG = 0;
const FSCONFIG_SET_STRING = 1;
const FSCONFIG_SET_FD = 5;
const FSCONFIG_CMD_CREATE = 6;

function configure(fd: number, key: string, value: Parameter[1]): void {
  const name = cString(key);
  const result =
    value === true
      ? libc().fsconfig(fd, FSCONFIG_SET_FLAG, name, null, 0)
      : typeof value === 'string'
        ? libc().fsconfig(fd, FSCONFIG_SET_STRING, name, cString(value), 0)
        : libc().fsconfig(fd, FSCONFIG_SET_FD, name, null, value.fd);
  if (result === -1) throw refused(fd, `mount option ${key}`);
}

/** The context queues messages, one per read: `e` error, `w` warning, `i` information, a space, text. */
function refused(fd: number, syscall: string): SysError {
  const errno = lastErrno();
  const buffer = Buffer.alloc(1024);
  const remarks: string[] = [];
  try {
    for (;;) {
      const line = buffer.toString('utf8', 0, readSync(fd, buffer)).trimEnd();
      if (line.startsWith('e ')) remarks.push(line.slice(2));
    }
  } catch {
    // ENODATA ends the queue.
  }
  return new SysError(errno, { syscall, ...(remarks.length === 0 ? {} : { remark: remarks.join('; ') }) });
}
