/** Scratch directories that go away with the test, whatever lies in them: closed directories, and mounts of a store. */
import { accessSync, constants, mkdtempSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** TMPFS_MAGIC, statfs(2). */
const tmpfsMagic = 0x01021994;

export interface Scratch extends Disposable {
  readonly path: string;
}

/**
 * Where nothing is ever written to a disk: for tests of what a store does, not of how it lies there, whose every write would
 * else wait for the disk and for whatever others write to it. The usual directory where there is none.
 */
export const memory: string = isMemory('/dev/shm') ? '/dev/shm' : tmpdir();

function isMemory(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    const { type, bavail, bsize } = statfsSync(path);
    return type === tmpfsMagic && bavail * bsize > 256 << 20;
  } catch {
    return false;
  }
}

/** A new directory under `parent` (default the system's temporary directory, `$TMPDIR`). */
export function makeScratch(name: string, parent = tmpdir()): Scratch {
  const path = realpathSync(mkdtempSync(join(parent, `cellar-${name}-`)));
  return {
    path,
    [Symbol.dispose]() {
      remove(path);
    },
  };
}

/** `rm -rf` that takes mounts away first and opens directories closed to their owner. Never crosses into a mount. */
export function remove(path: string): void {
  // A store keeps an image mounted for the next checkout; gc would take the mount away.
  for (const mount of mountsBelow(path).reverse()) spawnSync('umount', ['-l', mount]);
  const first = spawnSync('rm', ['-rf', '--one-file-system', '--', path]);
  if (first.status === 0) return;
  spawnSync('chmod', ['-R', 'u+rwX', '--', path]);
  spawnSync('rm', ['-rf', '--one-file-system', '--', path]);
}

/** Mount points below a directory, in the order in which they were mounted. */
export function mountsBelow(path: string): string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[1] ?? '').filter((mount) => mount.startsWith(`${path}/`));
}
