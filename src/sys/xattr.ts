/**
 * Extended attributes (xattr(7)), which Node lacks. Reading costs one call for a file that has none (0.6 µs); the
 * buffers have the kernel's maximum sizes, so there is no size query and no retry.
 */
import type { ByteString } from '../core/bytes.ts';
import { errnos, isErrno } from './errno.ts';
import { cPath, check, lastErrno, libc, sysError } from './libc.ts';

/** Sorted by name in byte order; the shape of an entry's `xattrs`. */
export type XattrList = readonly (readonly [name: ByteString, value: ByteString])[];

const none: XattrList = Object.freeze([]);

/** XATTR_LIST_MAX and XATTR_SIZE_MAX of limits.h. */
const list = Buffer.allocUnsafeSlow(65536);
const value = Buffer.allocUnsafeSlow(65536);
/** XATTR_NAME_MAX 255 and a NUL. */
const name = Buffer.alloc(256);

/** Of the path itself, never of a symlink's target. Empty where the file system has no xattrs. */
export function listXattrs(path: ByteString): XattrList {
  const size = libc().llistxattr(cPath(path), list, list.length);
  if (size === 0) return none;
  if (size === -1) {
    if (lastErrno() === errnos.ENOTSUP) return none;
    throw sysError('llistxattr', path);
  }
  const names = list.toString('latin1', 0, size - 1).split('\0');
  const pairs: [ByteString, ByteString][] = [];
  for (const attribute of names.length > 1 ? names.sort() : names) {
    // XFS lists its own form of an ACL beside `system.posix_acl_*`; it is the same thing twice.
    if (attribute.startsWith('trusted.SGI_ACL_')) continue;
    const content = getXattr(path, attribute);
    // Removed since it was listed, or not ours to read.
    if (content !== undefined) pairs.push([attribute, content]);
  }
  return pairs.length === 0 ? none : pairs;
}

/** One value; undefined when the attribute, or all of them, are absent. */
export function getXattr(path: ByteString, attribute: ByteString): ByteString | undefined {
  const size = libc().lgetxattr(cPath(path), cName(attribute), value, value.length);
  if (size >= 0) return value.toString('latin1', 0, size);
  const errno = lastErrno();
  if (errno === errnos.ENODATA || errno === errnos.ENOTSUP) return undefined;
  throw sysError('lgetxattr', path);
}

/** @throws SysError ENOTSUP, EPERM, ENOSPC or ERANGE where the file system cannot hold it */
export function setXattr(path: ByteString, attribute: ByteString, content: ByteString): void {
  const size = fill(content);
  check(libc().lsetxattr(cPath(path), cName(attribute), value, size, 0), 'lsetxattr', path);
}

export function setXattrFd(fd: number, attribute: ByteString, content: ByteString): void {
  const size = fill(content);
  check(libc().fsetxattr(fd, cName(attribute), value, size, 0), 'fsetxattr');
}

/** Quietly does nothing when the attribute is absent already. */
export function removeXattr(path: ByteString, attribute: ByteString): void {
  if (libc().lremovexattr(cPath(path), cName(attribute)) === -1 && lastErrno() !== errnos.ENODATA)
    throw sysError('lremovexattr', path);
}

/** Of what is made in a directory that has a default ACL: no ACLs. Nothing where there are none at all. */
export function removeInheritedAcls(path: ByteString): void {
  for (const acl of ['system.posix_acl_default', 'system.posix_acl_access']) {
    try {
      removeXattr(path, acl);
    } catch (error) {
      if (!isErrno(error, 'EOPNOTSUPP')) throw error;
    }
  }
}

function fill(content: ByteString): number {
  // One too long still reaches the kernel with its length, which answers E2BIG.
  return content.length <= value.length ? value.write(content, 0, 'latin1') : content.length;
}

/** Cut after 256 bytes, which the kernel refuses with ERANGE as it would the whole name. */
function cName(attribute: ByteString): Buffer {
  const length = name.write(attribute, 0, 'latin1');
  if (length < name.length) name[length] = 0;
  return name;
}
