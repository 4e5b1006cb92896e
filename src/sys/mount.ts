/** Mounts as checkouts need them: EROFS images, bind mounts sealed read-only, id-mapped copies. Overlays: overlay.ts. */
import { closeSync, openSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { descriptor, type Descriptor } from './descriptor.ts';
import { isErrno } from './errno.ts';
import { attachLoop } from './loop.ts';
import { cPath, check, libc } from './libc.ts';
import {
  MOUNT_ATTR_IDMAP,
  MOUNT_ATTR_RDONLY,
  attachMount,
  cloneMount,
  createMount,
  setMountAttributes,
  type Parameter,
} from './mount-api.ts';

export interface ErofsOptions {
  /** An image file, or a block device that holds one. */
  readonly image?: ByteString;
  readonly device?: ByteString;
  /** Ignore POSIX ACLs; for images without any it saves the lookups. */
  readonly noacl?: boolean;
  /**
   * How a file becomes a mount. `loop` (first choice of `auto`) adds no level to overlayfs' limit of two stacked
   * file systems; `file` (Linux 6.12) needs no loop device, but may count as one level.
   */
  readonly backing?: 'auto' | 'loop' | 'file';
}

/** Mounts an image read-only. The loop device, if any, goes when the mount goes. @throws as {@link openErofs} */
export function mountErofs(options: ErofsOptions & { readonly target: ByteString }): void {
  using mount = openErofs(options);
  attachMount(mount, options.target);
}

/**
 * A detached read-only mount, for instance a layer of an overlay or the source of an id-mapped mount.
 * @throws SysError EPERM without privilege, ENODEV where the kernel has no EROFS, EUCLEAN or EINVAL for a bad image
 */
export function openErofs(options: ErofsOptions): Descriptor {
  const { image, device, backing = 'auto' } = options;
  if (device !== undefined) return erofs(device, options);
  if (image === undefined) throw new Error('an EROFS mount needs an image or a device');
  if (backing === 'file') return fromFile(image, options);
  try {
    return throughLoop(image, options);
  } catch (error) {
    const noLoop = isErrno(error, 'ENOENT', 'ENODEV', 'ENXIO', 'EACCES', 'EPERM');
    if (backing === 'loop' || !noLoop) throw error;
    return fromFile(image, options);
  }
}

/** Shows `source` at `target` too, without the mounts below it; sealed when `readOnly`, for root as well. */
export function bindMount(
  source: ByteString,
  target: ByteString,
  options: { readonly readOnly?: boolean } = {},
): void {
  using mount = cloneMount(source);
  // Sealed before it is attached: there is no moment when it can be written to.
  if (options.readOnly === true) setMountAttributes(mount, { set: MOUNT_ATTR_RDONLY });
  attachMount(mount, target);
}

/**
 * Maps owners of a detached mount (of {@link openErofs}) through a user namespace, given by its descriptor.
 * Overlays cannot be mapped themselves, only their layers. @throws SysError EINVAL where the file system cannot
 */
export function idmapMount(mount: Descriptor, userNamespace: number): void {
  setMountAttributes(mount, { set: MOUNT_ATTR_IDMAP, userNamespace });
}

/** Makes a mount and those below it keep their later mounts to themselves (mount_namespaces(7), MS_PRIVATE). */
export function makePrivate(target: ByteString): void {
  check(libc().mount(null, cPath(target), null, MS_REC | MS_PRIVATE, null), 'mount', target);
}

const MS_REC = 0x4000;
const MS_PRIVATE = 0x40000;

function throughLoop(image: ByteString, options: ErofsOptions): Descriptor {
  const loop = attachLoop(image);
  try {
    return erofs(loop.device, options);
  } finally {
    // The mount holds the device now, or nobody does and it clears itself.
    closeSync(loop.fd);
  }
}

function fromFile(image: ByteString, options: ErofsOptions): Descriptor {
  // By descriptor, since a mount's source is at most 255 bytes long.
  using file = descriptor(openSync(toBytes(image), 'r'));
  return erofs(image.length > 255 ? `/proc/self/fd/${file.fd}` : image, options);
}

function erofs(source: ByteString, options: ErofsOptions): Descriptor {
  const parameters: Parameter[] = [
    ['source', source],
    ['ro', true],
    ...(options.noacl === true ? [['noacl', true] as const] : []),
  ];
  return createMount('erofs', { parameters, attributes: MOUNT_ATTR_RDONLY });
}
