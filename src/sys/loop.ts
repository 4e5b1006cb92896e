/**
 * Loop devices: an image file as a block device, so that kernels before 6.12 can mount an EROFS image. Structures and
 * numbers are those of linux/loop.h; see loop(4).
 */
import { closeSync, constants, openSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { fromBytes, toBytes, type ByteString } from '../core/bytes.ts';
import { errnos } from './errno.ts';
import { check, lastErrno, libc, sysError } from './libc.ts';

export interface LoopDevice {
  /** For instance `/dev/loop7`. */
  readonly device: ByteString;
  /** Open descriptor of the device; while it is open, autoclear does not let go. The caller closes it. */
  readonly fd: number;
}

export interface LoopOptions {
  /** Default true. */
  readonly readOnly?: boolean;
  /** Free the device when its last user (mount or descriptor) is gone; default true. */
  readonly autoclear?: boolean;
  /** Bypass the page cache of the image, which is otherwise kept twice; the kernel ignores it where it cannot. */
  readonly directIo?: boolean;
}

const LOOP_CTL_GET_FREE = 0x4c82;
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_CLR_FD = 0x4c01;

const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;

/**
 * Attaches an image to a free device. Needs Linux 5.8 (LOOP_CONFIGURE: attached with its flags in one step).
 * @throws SysError or Node's error: EACCES/EPERM without privilege, ENOENT where /dev has no loop devices (containers)
 */
export function attachLoop(image: ByteString, options: LoopOptions = {}): LoopDevice {
  const { readOnly = true, autoclear = true, directIo = false } = options;
  const access = readOnly ? constants.O_RDONLY : constants.O_RDWR;
  const flags =
    (readOnly ? LO_FLAGS_READ_ONLY : 0) |
    (autoclear ? LO_FLAGS_AUTOCLEAR : 0) |
    (directIo ? LO_FLAGS_DIRECT_IO : 0);
  const file = openSync(toBytes(image), access);
  try {
    const config = loopConfig(file, flags, image);
    for (;;) {
      const device = `/dev/loop${freeLoop()}`;
      const fd = openSync(device, access);
      if (libc().ioctlMemory(fd, LOOP_CONFIGURE, config) === 0) return { device, fd };
      const errno = lastErrno();
      closeSync(fd);
      // Another process was faster with this one; ask for the next.
      if (errno !== errnos.EBUSY) throw sysError('ioctl(LOOP_CONFIGURE)', image);
    }
  } finally {
    closeSync(file);
  }
}

/** The device an image is attached to, also when it was attached by others; undefined when it is not. */
export function findLoop(image: ByteString): ByteString | undefined {
  const real = fromBytes(realpathSync.native(toBytes(image), 'buffer'));
  return readdirSync('/sys/block')
    .filter((name) => name.startsWith('loop'))
    .find((name) => backingFile(name) === real)
    ?.replace(/^/, '/dev/');
}

/** Frees a device, at once or when its last user is gone. Quietly does nothing when it is free already. */
export function detachLoop(device: ByteString): void {
  const fd = openSync(toBytes(device), constants.O_RDONLY);
  try {
    if (libc().ioctl(fd, LOOP_CLR_FD, 0) === -1 && lastErrno() !== errnos.ENXIO)
      throw sysError('ioctl(LOOP_CLR_FD)', device);
  } finally {
    closeSync(fd);
  }
}

function freeLoop(): number {
  const control = openSync('/dev/loop-control', constants.O_RDWR);
  try {
    return check(libc().ioctl(control, LOOP_CTL_GET_FREE, 0), 'ioctl(LOOP_CTL_GET_FREE)');
  } finally {
    closeSync(control);
  }
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
