/**
 * A file that is written from its beginning to its end, once. What is small goes through the page cache, where who
 * reads it soon finds it; what is large goes past it (direct-file.ts), in blocks, while other work goes on.
 */
import { pageAligned, pageBytes } from './aligned.ts';
import { openDirect, type DirectFile } from './direct-file.ts';
import { writeFully } from './write-fully.ts';

export interface LargeFile extends Disposable {
  /**
   * Of no more use to us when this resolves. The next may be given before that: whole pages are written side by side then.
   * @throws what write(2) does
   */
  append(chunk: Uint8Array): Promise<void>;
  /** After the last append: all of it is in the file then, and perhaps in the page cache only. */
  end(): void;
}

/** Bytes from which on a file is large. */
const defaultLarge = 64 << 20;
const blockBytes = 1 << 20;

/** `fd` is open for writing on the empty file at `path`. `expected`: how long it will be, as far as that is known. */
export function largeFile(
  fd: number,
  path: string,
  { large = defaultLarge, expected = 0 }: { large?: number; expected?: number } = {},
): LargeFile {
  /** What comes up to here goes through the page cache. */
  const cached = expected >= large ? 0 : large;
  let direct: DirectFile | undefined;
  let block: Buffer | undefined;
  let gathered = 0;
  /** Where what is gathered goes. */
  let position = 0;
  /** Of those that gather, the last. */
  let turn: Promise<void> | undefined;

  const send = async (bytes: Uint8Array): Promise<void> => {
    const at = position;
    position += bytes.length;
    direct ??= openDirect(fd, path);
    await direct.write(at, bytes);
  };
  const gather = async (chunk: Uint8Array): Promise<void> => {
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
  };
  const gatherInTurn = async (chunk: Uint8Array): Promise<void> => {
    const mine = (turn ?? Promise.resolve()).then(() => gather(chunk));
    turn = mine;
    await mine;
    if (turn === mine) turn = undefined;
  };
  return {
    async append(chunk) {
      if (turn === undefined && gathered === 0) {
        if (position + chunk.length <= cached) {
          writeFully(fd, chunk, position);
          position += chunk.length;
          return;
        }
        if (position % pageBytes === 0 && chunk.length % pageBytes === 0) return await send(chunk);
      }
      await gatherInTurn(chunk);
    },
    end() {
      if (gathered > 0) writeFully(fd, block!.subarray(0, gathered), position);
      position += gathered;
      gathered = 0;
    },
    [Symbol.dispose]() {
      direct?.[Symbol.dispose]();
    },
  };
}
