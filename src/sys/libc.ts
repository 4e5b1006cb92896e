/**
 * The list of every function of the C library that we call, through koffi. It is loaded on first use, so
 * a verb that needs no system call of ours does not pay for it, and once per worker thread.
 *
 * Pointers are Buffers, structures are packed by hand where they are used. Paths go through {@link cPath} into
 * a reused buffer: at a million calls an allocation each would cost as much as the call.
 * Declared types hold for 64-bit Linux (`long` is 64 bits); numbers of ioctls and flags are those shared by x86-64 and
 * arm64. Variadic functions (ioctl, syscall) are declared with fixed arguments, which both ABIs pass alike.
 */
import type { ByteString } from '../core/bytes.ts';
import { SysError, errnos } from './errno.ts';
import { koffi } from './koffi.ts';

type Memory = Uint8Array | null;

/** Every function returns −1 on failure and leaves errno; hand the result to {@link check}. */
export interface Libc {
  readonly flock: (fd: number, operation: number) => number;
  readonly syncfs: AsyncCapable<(fd: number) => number>;
  readonly sync_file_range: (fd: number, offset: number, length: number, flags: number) => number;
  readonly renameat2: (fromDir: number, from: Memory, toDir: number, to: Memory, flags: number) => number;
  readonly utimensat: (dir: number, path: Memory, times: Memory, flags: number) => number;
  readonly futimens: (fd: number, times: Memory) => number;
  readonly statx: (dir: number, path: Memory, flags: number, mask: number, result: Memory) => number;
  readonly llistxattr: (path: Memory, list: Memory, size: number) => number;
  readonly lgetxattr: (path: Memory, name: Memory, value: Memory, size: number) => number;
  readonly lsetxattr: (path: Memory, name: Memory, value: Memory, size: number, flags: number) => number;
  readonly fsetxattr: (fd: number, name: Memory, value: Memory, size: number, flags: number) => number;
  readonly lremovexattr: (path: Memory, name: Memory) => number;
  readonly lseek: (fd: number, offset: number, whence: number) => number;
  /** ioctl(2) with an integer argument, and with a pointer. */
  readonly ioctl: (fd: number, request: number, argument: number) => number;
  readonly ioctlMemory: (fd: number, request: number, argument: Memory) => number;
  readonly mount: (source: Memory, target: Memory, type: Memory, flags: number, data: Memory) => number;
  readonly umount2: (target: Memory, flags: number) => number;
  /** From here on by number through syscall(2). */
  readonly mknodat: (dir: number, path: Memory, mode: number, device: number) => number;
  readonly open_tree: (dir: number, path: Memory, flags: number) => number;
  readonly move_mount: (fromDir: number, from: Memory, toDir: number, to: Memory, flags: number) => number;
  readonly fsopen: (type: Memory, flags: number) => number;
  readonly fsconfig: (fd: number, command: number, key: Memory, value: Memory, extra: number) => number;
  readonly fsmount: (fd: number, flags: number, attributes: number) => number;
  readonly mount_setattr: (
    dir: number,
    path: Memory,
    flags: number,
    attributes: Memory,
    size: number,
  ) => number;
}

type AsyncCapable<F extends (...args: never[]) => number> = F & {
  readonly async: (...args: [...Parameters<F>, (error: unknown, result: number) => void]) => void;
};

const prototypes: Readonly<Record<keyof Libc, readonly string[]>> = {
  flock: ['int', 'int', 'int'],
  syncfs: ['int', 'int'],
  sync_file_range: ['int', 'int', 'int64', 'int64', 'uint'],
  renameat2: ['int', 'int', 'void *', 'int', 'void *', 'uint'],
  utimensat: ['int', 'int', 'void *', 'void *', 'int'],
  futimens: ['int', 'int', 'void *'],
  statx: ['int', 'int', 'void *', 'int', 'uint', 'void *'],
  llistxattr: ['long', 'void *', 'void *', 'size_t'],
  lgetxattr: ['long', 'void *', 'void *', 'void *', 'size_t'],
  lsetxattr: ['int', 'void *', 'void *', 'void *', 'size_t', 'int'],
  fsetxattr: ['int', 'int', 'void *', 'void *', 'size_t', 'int'],
  lremovexattr: ['int', 'void *', 'void *'],
  lseek: ['long', 'int', 'long', 'int'],
  ioctl: ['int', 'int', 'ulong', 'long'],
  ioctlMemory: ['int', 'int', 'ulong', 'void *'],
  mount: ['int', 'void *', 'void *', 'void *', 'ulong', 'void *'],
  umount2: ['int', 'void *', 'int'],
  mknodat: ['long', 'long', 'void *', 'long', 'long'],
  open_tree: ['long', 'long', 'void *', 'long'],
  move_mount: ['long', 'long', 'void *', 'long', 'void *', 'long'],
  fsopen: ['long', 'void *', 'long'],
  fsconfig: ['long', 'long', 'long', 'void *', 'void *', 'long'],
  fsmount: ['long', 'long', 'long', 'long'],
  mount_setattr: ['long', 'long', 'void *', 'long', 'void *', 'size_t'],
};

/**
 * Called by number. mknodat(2) because it takes the kernel's own 32-bit device encoding, which glibc's hides;
 * the mount calls because glibc has them only since 2.36. Their numbers are the same on every architecture.
 */
const syscallNumbers: Readonly<Partial<Record<keyof Libc, number>>> = {
  mknodat: process.arch === 'arm64' ? 33 : 259,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  mount_setattr: 442,
};

let loaded: { readonly libc: Libc; readonly errno: () => number } | undefined;

export function libc(): Libc {
  return (loaded ??= loadLibc()).libc;
}

/** errno of the last call on this thread, positive; koffi keeps it apart from what V8 does in between. */
export function lastErrno(): number {
  return loaded === undefined ? 0 : loaded.errno();
}

/** The result, unless it is −1: then a {@link SysError} from errno. */
export function check(result: number, syscall: string, path?: ByteString): number {
  if (result === -1) throw sysError(syscall, path);
  return result;
}

export function sysError(syscall: string, path?: ByteString): SysError {
  return new SysError(lastErrno(), path === undefined ? { syscall } : { syscall, path });
}

/** AT_FDCWD: paths are relative to the working directory. */
export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_NO_AUTOMOUNT = 0x800;
export const AT_EMPTY_PATH = 0x1000;

export const emptyPath: Buffer = Buffer.alloc(1);

/** Linux's PATH_MAX, the final NUL included. */
const pathMax = 4096;
const pathBuffers = [Buffer.alloc(pathMax), Buffer.alloc(pathMax)] as const;

/**
 * The path as a NUL-terminated C string in a reused buffer, valid until the next call with the same slot.
 * @throws SysError ENAMETOOLONG past PATH_MAX, EINVAL for an embedded NUL (C would silently cut the path there).
 */
export function cPath(path: ByteString, slot: 0 | 1 = 0): Buffer {
  const buffer = pathBuffers[slot];
  if (path.length >= pathMax) throw new SysError(errnos.ENAMETOOLONG, { syscall: 'path', path });
  if (path.includes('\0')) throw new SysError(errnos.EINVAL, { syscall: 'path', path });
  buffer.write(path, 0, 'latin1');
  buffer[path.length] = 0;
  return buffer;
}

/** A fresh NUL-terminated C string of any length, for calls that are made rarely. */
export function cString(text: ByteString): Buffer {
  if (text.includes('\0')) throw new SysError(errnos.EINVAL, { syscall: 'string', path: text });
  return Buffer.from(`${text}\0`, 'latin1');
}

function loadLibc(): { libc: Libc; errno: () => number } {
  // Node links libc, whatever its file is called here.
  const { load, errno } = koffi();
  const library = load(null);
  const functions = Object.entries(prototypes).map(([name, [result = 'int', ...parameters]]) => {
    const number = syscallNumbers[name as keyof Libc];
    if (number === undefined)
      return [name, library.func(name === 'ioctlMemory' ? 'ioctl' : name, result, parameters)];
    const byNumber = library.func('syscall', result, ['long', ...parameters]) as (
      ...args: unknown[]
    ) => number;
    return [name, byNumber.bind(undefined, number)];
  });
  return { libc: Object.fromEntries(functions) as Libc, errno };
}
