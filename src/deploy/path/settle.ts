/**
 * What is switched to must be on the medium: the switch itself is small and gets there at once, while files written just
 * before it may still be in memory, and a power cut would leave the new version in service with empty files.
 */
import { dirname } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import { openDirectory } from '../../sys/descriptor.ts';
import { mountsAt } from '../../sys/mountinfo.ts';
import { syncfsAsync } from '../../sys/syncfs.ts';

export interface Settling extends Disposable {
  /** @throws SysError EIO, ENOSPC, EDQUOT: what was written since {@link settle} is lost */
  done(writable: boolean): Promise<void>;
}

/**
 * To be called before the first write to `place`, which may be absent then, for only an open file system tells of
 * failures. A mount that nobody writes to shows what the store has synced long ago.
 */
export function settle(place: string): Settling {
  const above = openDirectory(fromText(dirname(place)));
  return {
    async done(writable) {
      if (mountsAt(fromText(place)).length === 0) return await syncfsAsync(above.fd);
      if (!writable) return;
      using own = openDirectory(fromText(place));
      await syncfsAsync(own.fd);
    },
    [Symbol.dispose]: () => above[Symbol.dispose](),
  };
}
