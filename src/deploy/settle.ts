/**
 * What is switched to must be on the medium: the switch itself is small and gets there at once, while files written just
 * before it may still be in memory, and a power cut would leave the new version in service with empty files.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromText } from '../core/bytes.ts';
import { mountsAt } from '../sys/mountinfo.ts';
import { syncfsAsync } from '../sys/syncfs.ts';

export interface Settling extends Disposable {
  /** @throws SysError EIO, ENOSPC, EDQUOT: what was written since {@link settle} is lost */
  done(writable: boolean): Promise<void>;
}

/**
 * To be called before the first write to `place`, which may be absent then, for only an open file system tells of
 * failures. A mount that nobody writes to shows what the store has synced long ago.
 */
export function settle(place: string): Settling {
  const above = openDirectory(dirname(place));
  return {
    async done(writable) {
      if (mountsAt(fromText(place)).length === 0) return await syncfsAsync(above);
      if (!writable) return;
      const fd = openDirectory(place);
      try {
        await syncfsAsync(fd);
      } finally {
        closeSync(fd);
      }
    },
    [Symbol.dispose]() {
      closeSync(above);
    },
  };
}

function openDirectory(path: string): number {
  return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
}
