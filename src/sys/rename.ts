/** renameat2(2): renames that never replace, and renames that swap; both atomic, neither known to Node. */
import type { ByteString } from '../core/bytes.ts';
import { AT_FDCWD, cPath, check, libc } from './libc.ts';

const RENAME_NOREPLACE = 1;
const RENAME_EXCHANGE = 2;

/**
 * @throws SysError EEXIST when `to` exists (even as a dangling symlink), EINVAL where the file system cannot do it
 *   (NFS, some FUSE), EXDEV across file systems
 */
export function renameNoReplace(from: ByteString, to: ByteString): void {
  rename2(from, to, RENAME_NOREPLACE);
}

/** Swaps two existing names of any type; nobody ever sees either missing. @throws SysError as above, ENOENT */
export function renameExchange(a: ByteString, b: ByteString): void {
  rename2(a, b, RENAME_EXCHANGE);
}

function rename2(from: ByteString, to: ByteString, flags: number): void {
  check(libc().renameat2(AT_FDCWD, cPath(from, 0), AT_FDCWD, cPath(to, 1), flags), 'renameat2', to);
}
