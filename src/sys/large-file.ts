/**
 * A file that is written from its beginning to its end, once. What is small goes through the page cache, where who
 * reads it soon finds it; what turns out large goes past it (direct-file.ts), in blocks, while other work goes on.
 */
import { writeSync } from 'node:fs';
import { pageAligned, pageBytes } from './aligned.ts';
import { openDirect, type DirectFile } from './direct-file.ts';

export interface LargeFile extends Disposable {
  /** Of no more use to us on return. @throws what write(2) does */
  append(chunk: Uint8Array): Promise<void>;
  /** All of it is in the file then, and perhaps in the page cache only. */
  end(): void;
}

/** Bytes from which on a file is large. */
const defaultLarge = 64 << 20;
const blockBytes = 1 << 20;

/** `fd` is open for writing on the empty file at `path`. */
export function largeFile(fd: number, path: string, { large = defaultLarge } = {}): LargeFile {
  let direct: DirectFile | undefined;
  let block: Buffer | undefined;
  let gathered = 0;
  /** Where what is gathered goes. */
  let position = 0;

  const writeCached = (bytes: Uint8Array): void => {
    for (let done = 0; done < bytes.length;)
      done += writeSync(fd, bytes, done, bytes.length - done, position + done);
    position += bytes.length;
  };
  const send = async (bytes: Uint8Array): Promise<void> => {
    if (await direct?.write(position, bytes)) position += bytes.length;
    else writeCached(bytes);
  };
  return {
    async append(chunk) {
      if (position + chunk.length <= large && gathered === 0) return writeCached(chunk);
      direct ??= openDirect(path);
      if (gathered === 0 && position % pageBytes === 0 && chunk.length % pageBytes === 0)
        return await send(chunk);
      block ??= pageAligned(blockBytes);
      for (let taken = 0; taken < chunk.length;) {
        // Blocks end where a multiple of their size does, so that all but the first are whole pages in the right place.
        const room = blockBytes - ((position + gathered) % blockBytes);
        const piece = chunk.subarray(taken, taken + room);
        block.set(piece, gathered);
        gathered += piece.length;
        taken += piece.length;
        if (piece.length < room) continue;
        const full = block.subarray(0, gathered);
        gathered = 0;
        await send(full);
      }
    },
    end() {
      if (gathered > 0) writeCached(block!.subarray(0, gathered));
      gathered = 0;
    },
    [Symbol.dispose]() {
      direct?.[Symbol.dispose]();
    },
  };
}
