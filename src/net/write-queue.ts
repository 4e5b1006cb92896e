/**
 * Writes behind a connection. Chunks of a network are small and each one that is passed on by itself costs more than
 * its bytes, so they are gathered in blocks; while some are on their way to the file the next one fills.
 */
import { blockBytes, letGo, takeBlock, type Block } from './blocks.ts';
import type { PartFile } from './part-file.ts';

export interface WriteQueue {
  /**
   * `chunk` follows the last one; its memory may be used again at once. Resolves when more may come.
   * @throws what a write before it threw
   */
  add(chunk: Buffer): Promise<void>;
  /** Resolves when everything is in the file. @throws E_NO_SPACE, E_QUOTA, E_IO */
  flush(): Promise<void>;
}

export interface WriteObserver {
  /**
   * The first `length` bytes of a block belong at `start`: are they to be written there? Who needs them longer becomes a
   * user of the block.
   */
  readonly gathered: (start: number, block: Block, length: number) => 'write' | 'passed';
  readonly written: (start: number, end: number) => void;
}

/** Of one queue, at most: one that fills, and those on their way. */
const mostBlocks = 4;
/** Bytes of one queue that are on their way at most: when its process is killed, those in the middle may be what is missing. */
export const mostUnderWay = (mostBlocks - 1) * blockBytes;
/** On a slow way nobody should wait for a block to be full. */
const patienceMs = 250;

/** One stream of bytes into `part` from `position` on. */
export function createWriteQueue(part: PartFile, position: number, observer: WriteObserver): WriteQueue {
  let block: Block | undefined;
  let used = 0;
  let at = position;
  let failure: { error: unknown } | undefined;
  let timer: NodeJS.Timeout | undefined;
  const writing = new Set<Promise<void>>();

  const send = (): void => {
    clearTimeout(timer);
    if (block === undefined) return;
    const [full, start, length] = [block, at, used];
    [block, used, at] = [undefined, 0, at + used];
    if (observer.gathered(start, full, length) === 'passed') return letGo(full);
    const write = part
      .write(start, full.memory.subarray(0, length))
      .then(() => observer.written(start, start + length))
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .then(() => {
        writing.delete(write);
        letGo(full);
      });
    writing.add(write);
  };
  const take = async (): Promise<Block> => {
    while (writing.size >= mostBlocks - 1) await Promise.race(writing);
    timer = setTimeout(send, patienceMs);
    return takeBlock();
  };
  /** Blocks end where a multiple of their size does, so that all but the first and the last can be written directly. */
  const room = (): number => blockBytes - ((at + used) % blockBytes);
  return {
    async add(chunk) {
      for (let taken = 0; taken < chunk.length;) {
        if (failure !== undefined) throw failure.error;
        block ??= await take();
        const end = room();
        const length = chunk.copy(block.memory, used, taken, taken + end);
        used += length;
        taken += length;
        if (length === end) send();
      }
    },
    async flush() {
      send();
      while (writing.size > 0) await Promise.all(writing);
      if (failure !== undefined) throw failure.error;
    },
  };
}
