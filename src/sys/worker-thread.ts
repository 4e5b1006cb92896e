/**
 * Worker threads that end by themselves. `terminate()` stops a thread wherever it is, and when that is within one of
 * our native calls (libc.ts), the whole process aborts: the bindings cannot tell a thread that is being torn down
 * of an error. So a thread is told to end, and does when it is between two calls.
 */
import { getPriority, setPriority } from 'node:os';
import { parentPort, workerData, Worker } from 'node:worker_threads';

export interface WorkerThread {
  readonly worker: Worker;
  /** Set to 1 in shared memory before the message comes, which has to wait for its turn. */
  readonly ending: Int32Array;
}

const endMessage = 'end';

export function startWorker(module: URL, setup: object = {}): WorkerThread {
  const ending = new Int32Array(new SharedArrayBuffer(4));
  return { worker: new Worker(module, { workerData: { ...setup, ending } }), ending };
}

/** Resolves when the thread is gone; what it has not begun is never done. */
export async function endWorker({ worker, ending }: WorkerThread): Promise<void> {
  Atomics.store(ending, 0, 1);
  if (worker.threadId < 0) return;
  await new Promise<void>((resolve) => {
    worker.once('exit', () => resolve());
    worker.ref();
    worker.postMessage(endMessage);
  });
}

/** In the thread: whether it is to end. For loops that take long. */
export function isEnding(): boolean {
  return Atomics.load((workerData as Pick<WorkerThread, 'ending'>).ending, 0) !== 0;
}

/** In the thread: hands every message to `handle`, until it is to end. */
export function serveMessages<T>(handle: (message: T) => void): void {
  parentPort!.on('message', (message: T | typeof endMessage) => {
    if (message === endMessage) parentPort!.close();
    else if (!isEnding()) handle(message as T);
  });
}

/**
 * In the thread: those that feed it are to get a processor before it does, since while they wait, soon all of them do.
 * Source: setpriority(2), under "C library/kernel differences": of the calling thread alone.
 */
export function letOthersGoFirst(): void {
  const lowest = 19;
  try {
    setPriority(0, Math.min(lowest, getPriority(0) + 5));
  } catch {
    // Where that is forbidden it only takes longer.
  }
}
