/** Writes behind a connection: while one batch is on its way to the file the next gathers, up to a bound. */
import type { PartFile } from './part-file.ts';

export interface WriteQueue {
  /** `chunk` follows the last one. Resolves when more may come. @throws what a write before it threw */
  add(chunk: Buffer): Promise<void>;
  /** Resolves when everything is in the file. @throws E_NO_SPACE, E_QUOTA, E_IO */
  flush(): Promise<void>;
}

const most = 4 << 20;

/** One stream of bytes into `part` from `position` on; `written` is told what arrived there. */
export function makeWriteQueue(
  part: PartFile,
  position: number,
  written: (start: number, end: number) => void,
): WriteQueue {
  let batch: Buffer[] = [];
  let gathered = 0;
  let at = position;
  let writing: Promise<void> | undefined;
  let failure: { error: unknown } | undefined;
  const start = (): void => {
    const [buffers, bytes] = [batch, gathered];
    [batch, gathered] = [[], 0];
    writing = part
      .write(at, buffers)
      .then(() => written(at, (at += bytes)))
      .catch((error: unknown) => {
        failure = { error };
      })
      .then(() => {
        writing = undefined;
        if (gathered > 0 && failure === undefined) start();
      });
  };
  return {
    async add(chunk) {
      if (failure !== undefined) throw failure.error;
      batch.push(chunk);
      gathered += chunk.length;
      if (writing === undefined) start();
      while (gathered > most && writing !== undefined) await writing;
    },
    async flush() {
      while (writing !== undefined) await writing;
      if (failure !== undefined) throw failure.error;
    },
  };
}
