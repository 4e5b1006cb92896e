/** What a directory takes on the disk, as du(1) with `-x` counts it. */
import { lstatSync, readdirSync, type BigIntStats, type Dirent } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { isErrno } from './errno.ts';

export interface Counted {
  /** Files with more than one name. Default true. */
  readonly links?: boolean;
  /** Directories themselves. Default true. */
  readonly directories?: boolean;
}

/**
 * Bytes allocated below `root`, each inode once; other file systems mounted there are left out. What vanishes while it
 * is counted is not there.
 */
export function allocatedBelow(root: ByteString, { links = true, directories = true }: Counted = {}): number {
  const top = ifThere(() => lstatSync(toBytes(root), { bigint: true }));
  if (top === undefined) return 0;
  const seen = new Set<bigint>();
  const count = (directory: ByteString): number => {
    let blocks = 0;
    for (const entry of entriesOf(directory)) {
      const path = `${directory}/${entry.name}`;
      const stat = ifThere(() => lstatSync(toBytes(path), { bigint: true }));
      if (stat === undefined || stat.dev !== top.dev || isRepeated(stat, seen)) continue;
      const isDirectory = stat.isDirectory();
      if (isDirectory ? directories : links || stat.nlink === 1n) blocks += Number(stat.blocks);
      if (isDirectory) blocks += count(path);
    }
    return blocks;
  };
  return count(root) * 512;
}

function isRepeated({ ino, nlink, mode }: BigIntStats, seen: Set<bigint>): boolean {
  const isDirectory = (mode & 0o170000n) === 0o040000n;
  if (isDirectory || nlink === 1n) return false;
  if (seen.has(ino)) return true;
  seen.add(ino);
  return false;
}

function entriesOf(directory: ByteString): Dirent<string>[] {
  return ifThere(() => readdirSync(toBytes(directory), { encoding: 'latin1', withFileTypes: true })) ?? [];
}

function ifThere<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!isErrno(error, 'ENOENT', 'ENOTDIR')) throw error;
    return undefined;
  }
}
