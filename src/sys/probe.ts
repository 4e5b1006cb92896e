/**
 * What this machine and one directory's file system can do, found by trying it there: a kernel's version, a
 * configuration or a file system's name promise too much. Each answer says why, for `doctor` and for `--method=auto`.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, linkSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { reasonOf } from './errno.ts';
import { filesystemOf, type Filesystem } from './filesystem.ts';
import { isAtLeast, kernelVersion } from './kernel.ts';
import { createMount, unmount } from './mount-api.ts';
import { mountOverlay } from './overlay.ts';
import { reflink } from './reflink.ts';
import { enableVerity } from './verity.ts';
import { setXattr } from './xattr.ts';

export interface Capability {
  readonly available: boolean;
  /** One clause for people: what was found, or why not. */
  readonly reason: string;
}

export interface Capabilities {
  readonly filesystem: Filesystem;
  readonly reflink: Capability;
  readonly hardlink: Capability;
  readonly xattrUser: Capability;
  readonly xattrTrusted: Capability;
  /** A writable overlay whose layers and upper lie in this directory. */
  readonly overlay: Capability;
  /** EROFS images can be mounted. */
  readonly erofs: Capability;
  /** Both, and overlays with data-only layers: what a composefs checkout needs. */
  readonly composefs: Capability;
  readonly fsverity: Capability;
  /** Subvolumes and snapshots. */
  readonly btrfs: Capability;
}

/**
 * Makes a hidden directory in `dir`, tries everything there and removes it: some milliseconds.
 * @throws Node's error when nothing can be written in `dir`
 */
export function probe(dir: ByteString): Capabilities {
  const scratch = `${dir}/.cellar-probe-${randomBytes(6).toString('hex')}`;
  mkdirSync(toBytes(scratch), { mode: 0o700 });
  try {
    const filesystem = filesystemOf(scratch);
    const file = `${scratch}/file`;
    writeFileSync(toBytes(file), Buffer.alloc(4096, 1));
    const overlay = attempt('overlays can be mounted', () => tryOverlay(scratch));
    const erofs = attempt('EROFS images can be mounted', tryErofs);
    return {
      filesystem,
      reflink: tryReflink(file, `${scratch}/clone`, filesystem),
      hardlink: attempt('files can be hard-linked', () =>
        linkSync(toBytes(file), toBytes(`${scratch}/link`)),
      ),
      xattrUser: attempt('user.* attributes are kept', () => setXattr(file, 'user.cellar', 'x')),
      xattrTrusted: attempt('trusted.* attributes are kept', () => setXattr(file, 'trusted.cellar', 'x')),
      overlay,
      erofs,
      composefs: composefs(overlay, erofs),
      fsverity: tryVerity(file, filesystem),
      btrfs: answer(filesystem.type === 'btrfs', `the file system is ${filesystem.type}`),
    };
  } finally {
    rmSync(toBytes(scratch), { recursive: true, force: true });
  }
}

function answer(available: boolean, reason: string): Capability {
  return { available, reason };
}

function attempt(success: string, action: () => void): Capability {
  try {
    action();
    return answer(true, success);
  } catch (error) {
    return answer(false, reasonOf(error));
  }
}

function tryReflink(from: ByteString, to: ByteString, { type }: Filesystem): Capability {
  const [source, target] = [openSync(toBytes(from), 'r'), openSync(toBytes(to), 'w')];
  try {
    const shares = reflink(source, target);
    return answer(shares, shares ? `${type} shares extents` : `${type} here cannot share extents`);
  } catch (error) {
    return answer(false, reasonOf(error));
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

function tryVerity(path: ByteString, { type }: Filesystem): Capability {
  const fd = openSync(toBytes(path), 'r');
  try {
    const sealed = enableVerity(fd);
    return answer(sealed, sealed ? `${type} seals files` : `fs-verity is off on this ${type}`);
  } catch (error) {
    return answer(false, reasonOf(error));
  } finally {
    closeSync(fd);
  }
}

function tryOverlay(scratch: ByteString): void {
  const [lower, upper, work, target] = ['lower', 'upper', 'work', 'target'].map((name) => {
    const path = `${scratch}/${name}`;
    mkdirSync(toBytes(path));
    return path;
  }) as [ByteString, ByteString, ByteString, ByteString];
  mountOverlay({ lower: [lower], upper, work, target });
  try {
    // An upper that takes the mount can still be unfit to write to.
    writeFileSync(toBytes(`${target}/written`), '');
  } finally {
    unmount(target, { detach: true });
  }
}

/** Opening a context loads the kernel module, where it is one; it fails later only for want of a source. */
function tryErofs(): void {
  try {
    createMount('erofs', { parameters: [] })[Symbol.dispose]();
  } catch (error) {
    const opened = error instanceof Error && 'syscall' in error && error.syscall === 'mount erofs';
    if (!opened) throw error;
  }
  if (!existsSync('/dev/loop-control') && !isAtLeast(kernelVersion(), 6, 12))
    throw new Error('there are no loop devices, and only Linux 6.12 mounts EROFS images without');
}

function composefs(overlay: Capability, erofs: Capability): Capability {
  if (!erofs.available) return erofs;
  if (!overlay.available) return overlay;
  return answer(
    isAtLeast(kernelVersion(), 6, 5),
    isAtLeast(kernelVersion(), 6, 5)
      ? 'EROFS images can be mounted with data-only layers below'
      : 'overlays have data-only layers since Linux 6.5',
  );
}
