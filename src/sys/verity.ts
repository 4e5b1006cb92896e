/**
 * fs-verity (the kernel's Documentation/filesystems/fsverity): the kernel checks a sealed file's content against a hash
 * tree at every read, and nobody can write to it again. SHA-256, 4096-byte blocks, no salt, as composefs has it.
 */
import { errnos } from './errno.ts';
import { lastErrno, libc, sysError } from './libc.ts';

/** `_IOW('f', 133, struct fsverity_enable_arg)`, 128 bytes: u32 version, hash_algorithm, block_size; the rest zero. */
const FS_IOC_ENABLE_VERITY = 0x40806685;
/** `_IOWR('f', 134, struct fsverity_digest)`: u16 algorithm, u16 size, then the digest. */
const FS_IOC_MEASURE_VERITY = 0xc0046686;

const enableArgument = new Uint8Array(new Uint32Array([1, 1, 4096, ...Array<number>(29).fill(0)]).buffer);

/**
 * Seals an open file; true when it is sealed now, false where the file system cannot. `fd` is open for reading only and
 * nobody has the file open for writing. @throws SysError ETXTBSY when somebody has, ENOSPC, EPERM
 */
export function enableVerity(fd: number): boolean {
  if (libc().ioctlMemory(fd, FS_IOC_ENABLE_VERITY, enableArgument) === 0) return true;
  const errno = lastErrno();
  if (errno === errnos.EEXIST) return true;
  if (errno === errnos.EOPNOTSUPP || errno === errnos.ENOTTY) return false;
  throw sysError('ioctl(FS_IOC_ENABLE_VERITY)');
}

/** The verity digest as 64 hex digits; undefined for a file that is not sealed. */
export function measureVerity(fd: number): string | undefined {
  const answer = Buffer.alloc(4 + 64);
  answer.writeUInt16LE(64, 2);
  if (libc().ioctlMemory(fd, FS_IOC_MEASURE_VERITY, answer) === 0)
    return answer.toString('hex', 4, 4 + answer.readUInt16LE(2));
  const errno = lastErrno();
  if (errno === errnos.ENODATA || errno === errnos.EOPNOTSUPP || errno === errnos.ENOTTY) return undefined;
  throw sysError('ioctl(FS_IOC_MEASURE_VERITY)');
}
