/**
 * Room for the way out of a full disk. Even to read, SQLite needs some kilobytes beside its file, and `rm` and `gc`
 * write before they free; so a store keeps one mebibyte, gives it up when the file system is full, and takes it
 * back when there is room again.
 */
import { existsSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { inStore } from './layout.ts';

const reserveBytes = 1 << 20;

/** Call before anything is written. */
export function releaseReserveWhenFull(root: string): void {
  if (freeBytes(root) < reserveBytes) rmSync(inStore(root, 'reserve'), { force: true });
}

/** Call at the end. Where there is little room it stays given up: it must not be what fills the disk. */
export function renewReserve(root: string): void {
  const file = inStore(root, 'reserve');
  if (existsSync(file) || freeBytes(root) < 2 * reserveBytes) return;
  try {
    writeFileSync(file, Buffer.alloc(reserveBytes), { mode: 0o600 });
  } catch {
    rmSync(file, { force: true });
  }
}

/**
 * What anybody may still take. Root may take more, but how much more is not to be known: ext4 counts blocks as free
 * that it keeps even from root.
 */
export function freeBytes(root: string): number {
  const { bavail, bsize } = statfsSync(root);
  return bavail * bsize;
}
