/**
 * Writing past the page cache (O_DIRECT, open(2)): filling pages that nobody reads costs more than the bytes do where
 * fresh pages have to be found, and pushes out pages that somebody wants. Only whole pages can be written so, from
 * aligned memory (aligned.ts); what is left over goes the usual way, as does everything where the file system does not
 * know of this, or would give up something for it.
 */
import { closeSync, constants, openSync, statfsSync, write } from 'node:fs';
import { pageBytes } from './aligned.ts';

export interface DirectFile extends Disposable {
  /** While other work goes on; several at a time may be under way. @throws what write(2) does */
  write(position: number, bytes: Uint8Array): Promise<void>;
}

/** Statfs's type of btrfs, which packs what goes through the page cache only. Source: linux/magic.h. */
const btrfs = 0x9123683e;

/** `fd` is open for writing on the file at `path`, and stays so until this is disposed. */
export function openDirect(fd: number, path: string): DirectFile {
  const direct = openPast(path);
  let works = direct !== undefined;
  const writePages = async (position: number, bytes: Uint8Array): Promise<boolean> => {
    try {
      await writeAll(direct!, position, bytes);
      return true;
    } catch (error) {
      // Larger sectors than pages, memory that is not aligned, or a file system that only says so now.
      if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      works = false;
      return false;
    }
  };
  return {
    async write(position, bytes) {
      const pages = works && position % pageBytes === 0 ? bytes.length - (bytes.length % pageBytes) : 0;
      const done = pages > 0 && (await writePages(position, bytes.subarray(0, pages))) ? pages : 0;
      await writeAll(fd, position + done, bytes.subarray(done));
    },
    [Symbol.dispose]() {
      if (direct !== undefined) closeSync(direct);
    },
  };
}

function openPast(path: string): number | undefined {
  try {
    if (statfsSync(path).type === btrfs) return undefined;
    return openSync(path, constants.O_WRONLY | constants.O_DIRECT | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

async function writeAll(fd: number, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = { offset: done, length: bytes.length - done, position: position + done };
    done += await new Promise<number>((resolve, reject) => {
      write(fd, bytes, at, (error, written) => (error === null ? resolve(written) : reject(error)));
    });
  }
}
