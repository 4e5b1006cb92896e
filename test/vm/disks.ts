/** Disks of guests, as sparse files, and what is on them seen from here: at the very path where guests mount them. */
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { quote, run, sh } from '../support/run.ts';

/** With ext4 on it, unless nothing is wanted. `size` in bytes. */
export async function makeDisk(file: string, size: number, fs: 'ext4' | 'none' = 'ext4'): Promise<string> {
  writeFileSync(file, '');
  truncateSync(file, size);
  if (fs === 'ext4') await sh(`mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 ${quote(file)}`);
  return file;
}

/** A copy, as sparse as it was. */
export async function copyDisk(from: string, to: string): Promise<string> {
  await sh(`cp --sparse=always ${quote(from)} ${quote(to)}`);
  return to;
}

/** Mounted, which replays its journal, until disposed. */
export async function mountDisk(file: string, at: string): Promise<AsyncDisposable> {
  mkdirSync(at, { recursive: true });
  await sh(`mount -o loop ${quote(file)} ${quote(at)}`);
  return {
    async [Symbol.asyncDispose]() {
      // Whatever cellar mounted there goes first.
      await sh(`umount -R ${quote(at)} || umount -Rl ${quote(at)}`);
      await run(['udevadm', 'settle']).catch(() => undefined);
    },
  };
}

/** What fsck finds wrong with a disk whose journal was replayed. */
export async function faultsOf(file: string): Promise<string> {
  const { code, stdout } = await run(['e2fsck', '-fn', file]);
  return code === 0 ? '' : stdout.toString();
}
