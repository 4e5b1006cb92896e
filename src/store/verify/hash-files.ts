/** Hashing many files on all cores: how fsck finds out what is whole. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';

export interface HashedFile {
  readonly file: string;
  /** Absent where the file is missing or cannot be read; then `problem` is an errno name such as ENOENT or EIO. */
  readonly digest?: Digest;
  /** Bytes read. */
  readonly size?: number;
  readonly problem?: string;
}

const filesPerMessage = 32;

/**
 * Hash `files` (absolute paths); `each` hears of every one, in no particular order.
 * @throws E_CANCELLED, what `each` throws, and E_IO for a failure that says nothing of the file (at-rest.ts)
 */
export async function hashFiles(
  files: readonly string[],
  each: (hashed: HashedFile) => void,
  options: { signal?: AbortSignal } = {},
): Promise<void> {
  let next = 0;
  let isOver = false;
  const count = Math.min(availableParallelism(), Math.ceil(files.length / filesPerMessage));
  const lanes = await Promise.allSettled(Array.from({ length: count }, () => lane()));
  for (const settled of lanes) if (settled.status === 'rejected') throw settled.reason;

  async function lane(): Promise<void> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    try {
      while (next < files.length && !isOver) {
        if (options.signal?.aborted === true) throw new CellarError('E_CANCELLED');
        const batch = files.slice(next, next + filesPerMessage);
        next += batch.length;
        const answers = await ask(worker, batch);
        batch.forEach((file, at) => each(describe(file, answers[at]!)));
      }
    } catch (error) {
      // The others end with what they have in hand.
      isOver = true;
      throw error;
    } finally {
      await worker.terminate();
    }
  }
}

function describe(file: string, answer: string): HashedFile {
  if (answer.startsWith('?'))
    throw new CellarError('E_IO', { details: { doing: 'reading', path: file, problem: answer.slice(1) } });
  return answer.startsWith('!')
    ? { file, problem: answer.slice(1) }
    : { file, digest: answer.slice(0, 64), size: Number(answer.slice(64)) };
}

function ask(worker: Worker, batch: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const onMessage = (answers: string[]): void => {
      worker.off('error', onError);
      resolve(answers);
    };
    const onError = (error: unknown): void => {
      worker.off('message', onMessage);
      reject(error as Error);
    };
    worker.once('message', onMessage);
    worker.once('error', onError);
    worker.postMessage(batch);
  });
}
