/**
 * Who runs on a directory: containers and machines are processes whose root it is, whatever started them. The path of
 * a root in another mount namespace means nothing here, so directories are told by device and inode.
 */
import { readFileSync, statSync, type BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import { processIds } from '../../sys/proc.ts';

/** What is shown of a long list. */
const shown = 4;

/** Processes with one of these directories, or a directory of a file system mounted there, as their root. For people. */
export function usersOf(directories: readonly string[]): string[] {
  const places = directories.flatMap(placeAt);
  if (places.length === 0) return [];
  const users = processIds().filter((pid) => {
    const root = statOf(`/proc/${pid}/root/`);
    return root !== undefined && places.some((isRoot) => isRoot(root));
  });
  const more = users.length > shown ? [`${users.length - shown} more`] : [];
  return [...users.slice(0, shown).map((pid) => `process ${pid}${commandOf(pid)}`), ...more];
}

function placeAt(directory: string): ((root: BigIntStats) => boolean)[] {
  const own = statOf(directory);
  const above = statOf(dirname(directory));
  if (own === undefined) return [];
  // A file system of its own belongs to this place alone, so any root on it counts.
  return [({ dev, ino }) => dev === own.dev && (ino === own.ino || dev !== above?.dev)];
}

function statOf(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true });
  } catch {
    // It ended meanwhile, or is not ours to look at.
    return undefined;
  }
}

function commandOf(pid: string): string {
  try {
    return ` (${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()})`;
  } catch {
    return '';
  }
}
