/**
 * Device numbers. An entry's `rdev` is Linux's 32-bit encoding ("new_encode_dev" in include/linux/kdev_t.h),
 * because manifests, EROFS inodes and the mknod system call all hold that one. stat(2) through glibc and Node gives
 * another, 64-bit one, which must not meet an entry; sys/stat.ts asks statx(2), which gives both halves.
 */

/** 12 bits of major, 20 of minor: `(minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)`, unsigned. */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

export function major(rdev: number): number {
  return (rdev >>> 8) & 0xfff;
}

export function minor(rdev: number): number {
  return (rdev & 0xff) | ((rdev >>> 12) & 0xfff00);
}

/** True when the numbers fit the 32-bit encoding; an archive may claim larger ones. */
export function isEncodable(major: number, minor: number): boolean {
  return (
    Number.isInteger(major) &&
    Number.isInteger(minor) &&
    major >= 0 &&
    major <= 0xfff &&
    minor >= 0 &&
    minor <= 0xfffff
  );
}
