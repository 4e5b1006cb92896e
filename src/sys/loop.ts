/**
 * Loop devices: an image file as a block device, so that kernels before 6.12 can mount an EROFS image. Structures and
 * numbers are those of linux/loop.h; see loop(4).
 */
import { closeSync, constants, existsSync, openSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { fromBytes, toBytes, type ByteString } from '../core/bytes.ts';
import { descriptor } from './descriptor.ts';
import { isErrno } from './errno.ts';
import { check, libc, sysError } from './libc.ts';

export interface LoopDevice {
  /** For instance `/dev/loop7`. */
  readonly device: ByteString;
  /** Open descriptor of the device; while it is open, autoclear does not let go. The caller closes it. */
  readonly fd: number;
}

const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;

const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;

/**
 * Attaches an image to a free device, for reading only; the device is free again when its last user (a mount, or the
 * descriptor) is gone. Needs Linux 5.8 (LOOP_CONFIGURE: attached with its flags in one step).
 * @throws SysError or Node's error: EACCES/EPERM without privilege, ENOENT where /dev has no loop devices (containers)
 */
export function attachLoop(image: ByteString): LoopDevice {
  using file = descriptor(openSync(toBytes(image), constants.O_RDONLY));
  const config = loopConfig(file.fd, LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR, image);
  for (;;) {
    const device = `/dev/loop${freeLoop()}`;
    const fd = openSync(device, constants.O_RDONLY);
    if (libc().ioctlMemory(fd, LOOP_CONFIGURE, config) === 0) return { device, fd };
    const error = sysError('ioctl(LOOP_CONFIGURE)', image);
    closeSync(fd);
    // Another process was faster with this one; ask for the next.
    if (!isErrno(error, 'EBUSY')) throw error;
  }
}

/** The device an image is attached to, also when it was attached by others; undefined when it is not, or nobody tells. */
export function findLoop(image: ByteString): ByteString | undefined {
  const real = fromBytes(realpathSync.native(toBytes(image), 'buffer'));
  return blockDevices()
    .filter((name) => name.startsWith('loop'))
    .find((name) => backingFile(name) === real)
    ?.replace(/^/, '/dev/');
}

/** None where /sys is not mounted, as in a bare chroot. */
function blockDevices(): string[] {
  return existsSync('/sys/block') ? readdirSync('/sys/block') : [];
}

function freeLoop(): number {
  using control = descriptor(openSync('/dev/loop-control', constants.O_RDWR));
  return check(libc().ioctl(control.fd, LOOP_CTL_GET_FREE, 0), 'ioctl(LOOP_CTL_GET_FREE)');
}

/**
 * `struct loop_config`, 304 bytes: u32 fd, u32 block_size, then `struct loop_info64` at 8 with lo_flags at 52 and
 * lo_file_name (64 bytes, NUL-terminated, informative) at 56 of it; the rest stays zero.
 */
function loopConfig(file: number, flags: number, image: ByteString): Buffer {
  const config = Buffer.alloc(304);
  config.writeUInt32LE(file, 0);
  config.writeUInt32LE(flags, 8 + 52);
  config.write(image.slice(0, 63), 8 + 56, 'latin1');
  return config;
}

/** sysfs gives the path as it is now, with ` (deleted)` after a file that is gone; absent for free devices. */
function backingFile(name: string): ByteString | undefined {
  try {
    return readFileSync(`/sys/block/${name}/loop/backing_file`, 'latin1').replace(/\n$/, '');
  } catch {
    return undefined;
  }
}
