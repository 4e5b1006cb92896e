/**
 * What is large goes into the store past the page cache (sys/direct-file.ts): perhaps nobody reads it soon, and
 * filling pages for it costs more than its bytes do. It is gathered in a few blocks of memory that a worker has for
 * all of its files; while one is written another fills.
 */
import { pageAligned } from '../../sys/aligned.ts';
import { openDirect } from '../../sys/direct-file.ts';

/** Puts the content from `done` on, as much as there is room for, into `target`. */
export type Fill = (target: Buffer, done: number) => void;

/** By a Buffer's `copy`: from memory that threads share, a typed array's `set` takes nearly twice as long. */
export function copyOf(content: Buffer): Fill {
  return (target, done) => void content.copy(target, 0, done, done + target.length);
}

export interface BlockFile extends AsyncDisposable {
  /** The next `length` bytes; when it resolves they are copied, not written. @throws what `fill` or a write before it did */
  write(length: number, fill: Fill): Promise<void>;
  /** Resolves when all of it is in the file. @throws what a write did */
  end(): Promise<void>;
}

/** Content of this size on is large. */
export const largeBytes = 256 << 10;
/** Larger content goes in steps that stay in the processor's cache between reading, hashing and copying. */
export const stepBytes = 256 << 10;

const blockBytes = 1 << 20;
/** One that fills and one that is written: more would keep others from the few threads that there are for writing. */
const blockCount = 2;

const idle: Buffer[] = [];
const waiting: ((block: Buffer) => void)[] = [];
let made = 0;
let underWay = 0;

async function takeBlock(): Promise<Buffer> {
  const block = idle.pop();
  if (block !== undefined) return block;
  // Those that files fill over several batches come back with more of them, so only what is written is waited for.
  if (made >= blockCount && underWay > 0) return await new Promise((resolve) => waiting.push(resolve));
  made++;
  return pageAligned(blockBytes);
}

function giveBack(block: Buffer): void {
  const next = waiting.shift();
  if (next !== undefined) next(block);
  else if (made > blockCount) made--;
  else idle.push(block);
}

/** `fd` is open for writing on the empty file at `path`, and stays so until this is disposed. */
export function blockFile(fd: number, path: string): BlockFile {
  const direct = openDirect(fd, path);
  const writes: Promise<void>[] = [];
  let failure: { error: unknown } | undefined;
  let block: Buffer | undefined;
  let used = 0;
  let position = 0;

  const send = (): void => {
    if (block === undefined) return;
    const [full, length, at] = [block, used, position];
    [block, used, position] = [undefined, 0, position + used];
    underWay++;
    const write = direct
      .write(at, full.subarray(0, length))
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .then(() => {
        underWay--;
        giveBack(full);
      });
    writes.push(write);
  };
  return {
    async write(length, fill) {
      for (let done = 0; done < length;) {
        if (failure !== undefined) throw failure.error;
        block ??= await takeBlock();
        const room = block.subarray(used, used + Math.min(stepBytes, length - done));
        fill(room, done);
        done += room.length;
        used += room.length;
        if (used === blockBytes) send();
      }
    },
    async end() {
      send();
      await Promise.all(writes);
      if (failure !== undefined) throw failure.error;
    },
    async [Symbol.asyncDispose]() {
      if (block !== undefined) giveBack(block);
      block = undefined;
      await Promise.all(writes);
      direct[Symbol.dispose]();
    },
  };
}
