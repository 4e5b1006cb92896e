/**
 * syncfs(2): makes everything written to one file system durable with one call, where an fsync per object would
 * take minutes. Since Linux 5.8 it also reports write-back errors, but only those that came after `fd` was opened:
 * open it before the first write.
 */
import { check, libc, lastErrno } from './libc.ts';
import { SysError } from './errno.ts';

/** @throws SysError EIO, ENOSPC, EDQUOT: earlier writes were lost */
export function syncfs(fd: number): void {
  check(libc().syncfs(fd), 'syncfs');
}

/** The same on another thread; it may take seconds. `fd` must stay open until it is done. */
export function syncfsAsync(fd: number): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  libc().syncfs.async(fd, (error, result) => {
    if (error) reject(error);
    else if (result === -1) reject(new SysError(lastErrno(), { syscall: 'syncfs' }));
    else resolve();
  });
  return promise;
}

const SYNC_FILE_RANGE_WRITE = 2;

/**
 * Begin to write a file's dirty pages to the medium, without waiting: what a later syncfs has to wait for is less.
 * Promises nothing, so a file system that cannot do it is no error. Source: sync_file_range(2).
 */
export function startWriteback(fd: number): void {
  libc().sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}
