/**
 * The three system calls that building an odd tree needs and node:fs lacks. Kept apart from the product's own
 * bindings on purpose: a test must not share the mistakes of what it tests.
 */
import koffi from 'koffi';

let bindings: ReturnType<typeof load> | undefined;

function load() {
  const libc = koffi.load('libc.so.6');
  return {
    mknod: libc.func('int mknod(const uint8_t *path, uint32_t mode, uint64_t dev)'),
    lsetxattr: libc.func(
      'int lsetxattr(const uint8_t *path, const char *name, const uint8_t *value, size_t size, int flags)',
    ),
    utimensat: libc.func('int utimensat(int dirfd, const uint8_t *path, const int64_t *times, int flags)'),
  };
}

const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;

function check(result: number, what: string, path: Buffer): void {
  if (result === 0) return;
  const errno = koffi.errno();
  const name = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0] ?? String(errno);
  throw Object.assign(new Error(`${what} ${path.toString('latin1')}: ${name}`), { code: name });
}

const terminated = (path: Buffer): Buffer => Buffer.concat([path, Buffer.from([0])]);

/** mknod(2); `mode` with its type bits, `rdev` as makedev(3). */
export function mknod(path: Buffer, mode: number, rdev = 0): void {
  bindings ??= load();
  check(bindings.mknod(terminated(path), mode, rdev) as number, 'mknod', path);
}

/** lsetxattr(2). The name may hold any byte but NUL. */
export function setXattr(path: Buffer, name: string, value: Buffer): void {
  bindings ??= load();
  check(bindings.lsetxattr(terminated(path), name, value, value.length, 0) as number, 'lsetxattr', path);
}

/** Sets mtime, exact to the nanosecond and without following symlinks; atime becomes the same. */
export function setMtime(path: Buffer, mtimeNs: bigint): void {
  bindings ??= load();
  const nanos = ((mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  const seconds = (mtimeNs - nanos) / 1_000_000_000n;
  const times = new BigInt64Array([seconds, nanos, seconds, nanos]);
  check(
    bindings.utimensat(AT_FDCWD, terminated(path), times, AT_SYMLINK_NOFOLLOW) as number,
    'utimensat',
    path,
  );
}

/** makedev(3) for small numbers. */
export function device(major: number, minor: number): number {
  return (major << 8) | minor;
}
