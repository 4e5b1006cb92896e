/**
 * File systems for tests: a scratch directory on disk, and loop-mounted ext4, XFS and btrfs for what depends on the
 * file system. They are made from sparse images and undone by `using`, so nothing is left mounted.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { needs } from './run.ts';
import { makeScratch, type Scratch } from './scratch.ts';

/** A new directory under /var/tmp: on disk, where /tmp may be a tmpfs. */
export function scratchDirectory(): Scratch {
  return makeScratch('disk', '/var/tmp');
}

export type DiskFilesystem = 'ext4' | 'xfs' | 'btrfs';

const mkfs: Readonly<Record<DiskFilesystem, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

/** A new, empty file system of `megabytes` (XFS wants 300 at least). Needs root and the mkfs program. */
export function scratchFilesystem(type: DiskFilesystem, megabytes = 320): Scratch {
  const scratch = scratchDirectory();
  const image = join(scratch.path, 'image');
  const path = join(scratch.path, 'mnt');
  const file = openSync(image, 'w');
  ftruncateSync(file, megabytes * 1024 * 1024);
  closeSync(file);
  mkdirSync(path);
  const [program = '', ...options] = mkfs[type];
  execFileSync(program, [...options, image], { stdio: 'pipe' });
  execFileSync('mount', ['-o', 'loop', image, path], { stdio: 'pipe' });
  return {
    path,
    [Symbol.dispose]: () => {
      execFileSync('umount', ['-l', path], { stdio: 'pipe' });
      scratch[Symbol.dispose]();
    },
  };
}

/** For node:test's `skip`: false, or why not. */
export const needsRoot = needs({ root: true });
