/** What a btrfs subvolume is told by, without its programs. */
import { lstatSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { filesystemOf } from './filesystem.ts';

/** The root of every subvolume, and nothing else on btrfs, has inode number 256. */
export function isSubvolume(path: ByteString): boolean {
  return (
    lstatSync(toBytes(path), { throwIfNoEntry: false })?.ino === 256 && filesystemOf(path).type === 'btrfs'
  );
}
