/**
 * Unpacking zstd on a thread of its own. It is what everything after it waits for, and on the main thread each step
 * would wait for its turn; here the next pieces and rooms are there before it is done with the last.
 */
import { CellarError } from '../../core/errors.ts';
import { endWorker, startWorker } from '../../sys/worker-thread.ts';
import { corrupt, truncated, type DecompressOptions } from './decompress.ts';
import { pieceBytes, pieceCount, type ToUnpack, type Unpacked } from './unpack-protocol.ts';

/** Memory to be filled, which threads share. */
export interface Room {
  readonly bytes: Buffer<SharedArrayBuffer>;
}

/** One is being filled, the other is next. */
const roomsAhead = 2;

/**
 * The unpacked bytes in the rooms that `room` gives, in their order, each full but the last ones, whose `bytes` are what
 * is used of them; that may be nothing.
 * @throws E_ARCHIVE_TRUNCATED, E_ARCHIVE_CORRUPT, E_CANCELLED, and what `input` and `room` throw
 */
export async function* unpackOnThread<R extends Room>(
  input: AsyncGenerator<Uint8Array>,
  room: () => Promise<R>,
  { source, signal }: DecompressOptions,
): AsyncGenerator<R> {
  const packed = new SharedArrayBuffer(pieceBytes * pieceCount);
  const thread = startWorker(new URL('./unpack-worker.ts', import.meta.url), { packed });
  const post = (message: ToUnpack): void => thread.worker.postMessage(message);
  const free = Array.from({ length: pieceCount }, (_, piece) => piece);
  const given: R[] = [];
  /** Of those given, the first. */
  let filled = 0;
  let last: Extract<Unpacked, { type: 'over' | 'broken' }> | undefined;
  let failure: { error: unknown } | undefined;
  let isGiving = true;
  let isStopped = false;
  let waiting: (() => void)[] = [];

  const wake = (): void => {
    for (const resolve of waiting.splice(0)) resolve();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!isStopped && !condition()) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
    wake();
  };
  const stop = (): void => {
    isStopped = true;
    wake();
  };

  const feed = async (): Promise<void> => {
    const memory = Buffer.from(packed);
    let piece: number | undefined;
    let used = 0;
    const send = (): void => {
      if (piece !== undefined) post({ type: 'packed', piece, length: used });
      [piece, used] = [undefined, 0];
    };
    for await (const chunk of input) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      for (let taken = 0; taken < bytes.length;) {
        if (piece === undefined) {
          await until(() => free.length > 0);
          if (isStopped) return;
          piece = free.pop()!;
        }
        const start = piece * pieceBytes;
        const count = bytes.copy(memory, start + used, taken, taken + pieceBytes - used);
        used += count;
        taken += count;
        if (used === pieceBytes) send();
      }
    }
    send();
    post({ type: 'end' });
  };
  const giveRooms = async (): Promise<void> => {
    for (;;) {
      await until(() => given.length < roomsAhead || last !== undefined);
      if (isStopped || last !== undefined) return;
      const next = await room();
      given.push(next);
      const { buffer, byteOffset, length } = next.bytes;
      post({ type: 'room', memory: buffer, start: byteOffset, length });
    }
  };

  thread.worker.on('message', (message: Unpacked) => {
    if (message.type === 'taken') free.push(message.piece);
    else if (message.type === 'filled') filled++;
    else last = message;
    wake();
  });
  thread.worker.on('error', fail);
  signal.addEventListener('abort', stop, { once: true });
  // Who called looked before the first of the input had come.
  if (signal.aborted) stop();
  try {
    feed().catch(fail);
    giveRooms()
      .catch(fail)
      .finally(() => {
        isGiving = false;
        wake();
      });
    for (;;) {
      await until(() => filled > 0 || last !== undefined || failure !== undefined);
      if (isStopped) throw new CellarError('E_CANCELLED');
      if (filled > 0) {
        filled--;
        const full = given.shift()!;
        wake();
        yield full;
      } else if (last !== undefined) break;
      else throw failure!.error;
    }
    if (last.type === 'broken') throw corrupt(source, last.taken, last.problem);
    if (!last.isBetween) throw truncated(source, last.taken);
    for (let { used } = last; ; used = 0) {
      // One more may have been asked for and not have come yet.
      await until(() => given.length > 0 || !isGiving);
      if (isStopped) throw new CellarError('E_CANCELLED');
      const rest = given.shift();
      if (rest === undefined) return;
      yield { ...rest, bytes: rest.bytes.subarray(0, used) };
    }
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    // It must be done with the rooms before somebody else gets them.
    await endWorker(thread);
    input.return(undefined).catch(() => undefined);
  }
}
