/**
 * Writing past the page cache (O_DIRECT, open(2)): filling pages that nobody reads costs more than the bytes do where
 * fresh pages have to be found, and pushes out pages that somebody wants. Only whole pages can be written so, from
 * aligned memory (aligned.ts); what is left over goes the usual way.
 */
import { closeSync, constants, openSync, statfsSync, write } from 'node:fs';
import { pageBytes } from './aligned.ts';

export interface DirectFile extends Disposable {
  /** False when these bytes cannot be written so. @throws what write(2) does */
  write(position: number, bytes: Uint8Array): Promise<boolean>;
}

/** Statfs's type of btrfs, which packs what goes through the page cache only. Source: linux/magic.h. */
const btrfs = 0x9123683e;

/** Of a file that is there; `undefined` where the file system has no such thing, or gives up something for it. */
export function openDirect(path: string): DirectFile | undefined {
  let fd: number;
  try {
    if (statfsSync(path).type === btrfs) return undefined;
    fd = openSync(path, constants.O_WRONLY | constants.O_DIRECT | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  let works = true;
  return {
    async write(position, bytes) {
      if (!works || position % pageBytes !== 0 || bytes.length % pageBytes !== 0) return false;
      try {
        await writeAll(fd, position, bytes);
        return true;
      } catch (error) {
        // Larger sectors than pages, memory that is not aligned, or a file system that only says so now.
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
        works = false;
        return false;
      }
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}

/** While other work goes on. @throws what write(2) does */
export async function writeAll(fd: number, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = { offset: done, length: bytes.length - done, position: position + done };
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, at, (error, written) => (error === null ? resolve(written) : reject(error)));
    });
  }
}
