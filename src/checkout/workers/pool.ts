/**
 * A few worker threads that share one list of items. Each takes the next piece of it from a shared counter, so a
 * thread with large files does not hold the others up. Small jobs run on the calling thread: starting a worker takes
 * longer than making five hundred files.
 */
import type { Worker } from 'node:worker_threads';
import { availableParallelism } from 'node:os';
import { CellarError, type ErrorDetails } from '../../core/errors.ts';
import type { ErrorCode } from '../../core/error-registry.ts';
import { endWorker, startWorker } from '../../sys/worker-thread.ts';
import { jobs, type JobInput, type JobName, type JobResult, type RunningJob } from './jobs.ts';

export interface Phase {
  readonly name: string;
  /** Number of items; workers are given index ranges below it. */
  readonly count: number;
  /** Ranges must be worked on in order by one thread. */
  readonly sequential?: boolean;
}

export interface RunOptions {
  readonly signal: AbortSignal;
  /** Items done so far over all phases; about ten times a second. */
  readonly onProgress?: (done: number) => void;
}

export interface Pool extends Disposable {
  /** Runs the phases one after the other and adds up what the threads counted. Throws the first error. */
  run<N extends JobName>(
    name: N,
    input: JobInput<N>,
    phases: readonly Phase[],
    options: RunOptions,
  ): Promise<JobResult<N>>;
}

/** Items a thread takes at once: large enough that neighbours in a directory stay together. */
const piece = 64;

/** `items` is a guess of the work to come. Workers start at once, so that they load while the caller plans. */
export function startPool(items: number): Pool {
  return items < 1500 ? inlinePool() : workerPool(Math.min(2, availableParallelism()));
}

/** Messages between the threads. */
export type ToWorker =
  | { readonly type: 'job'; readonly name: JobName; readonly input: unknown; readonly control: Int32Array }
  | { readonly type: 'phase'; readonly phase: Phase };

export type FromWorker =
  | { readonly type: 'done'; readonly counts: Record<string, number> }
  | {
      readonly type: 'error';
      readonly code: ErrorCode;
      readonly details: ErrorDetails;
      readonly hint: string | undefined;
    };

/** Cells of the control words. */
export const control = { next: 0, done: 1, stop: 2, size: 3 } as const;

/** Work on pieces of the phase until none is left or `stop` is set. */
export function drain(job: RunningJob, phase: Phase, words: Int32Array): void {
  for (;;) {
    const from = Atomics.add(words, control.next, piece);
    if (from >= phase.count || Atomics.load(words, control.stop) !== 0) return;
    const to = Math.min(from + piece, phase.count);
    job.work(phase.name, from, to);
    Atomics.add(words, control.done, to - from);
  }
}

function workerPool(size: number): Pool {
  const module = new URL('./worker.ts', import.meta.url);
  const threads = Array.from({ length: size }, () => startWorker(module));
  const workers = threads.map(({ worker }) => worker);
  // An idle pool must not keep the process alive, and a failed start is reported by run().
  for (const worker of workers) {
    worker.unref();
    worker.on('error', () => {});
  }
  return {
    async run(name, input, phases, options) {
      const words = new Int32Array(new SharedArrayBuffer(control.size * 4));
      using _watch = watch(words, options);
      for (const worker of workers) {
        worker.ref();
        worker.postMessage({ type: 'job', name, input, control: words } satisfies ToWorker);
      }
      const totals: Record<string, number> = {};
      for (const phase of phases) {
        Atomics.store(words, control.next, 0);
        const active = phase.sequential === true ? workers.slice(0, 1) : workers;
        const results = await Promise.allSettled(active.map((worker) => runPhase(worker, phase, words)));
        if (options.signal.aborted) throw new CellarError('E_CANCELLED');
        const failed = results.find((result) => result.status === 'rejected');
        if (failed !== undefined) throw failed.reason;
        for (const result of results) if (result.status === 'fulfilled') add(totals, result.value);
      }
      for (const worker of workers) worker.unref();
      return totals as JobResult<typeof name>;
    },
    [Symbol.dispose]() {
      for (const thread of threads) void endWorker(thread);
    },
  };
}

function runPhase(worker: Worker, phase: Phase, words: Int32Array): Promise<Record<string, number>> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      worker.off('message', onMessage).off('error', onError).off('exit', onExit);
    };
    const onMessage = (message: FromWorker): void => {
      settle();
      if (message.type === 'done') return resolve(message.counts);
      Atomics.store(words, control.stop, 1);
      const { code, details, hint } = message;
      reject(new CellarError(code, { details, ...(hint === undefined ? {} : { hint }) }));
    };
    const onError = (error: unknown): void => {
      settle();
      Atomics.store(words, control.stop, 1);
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    const onExit = (): void => onError(new Error('a worker thread ended early'));
    worker.on('message', onMessage).on('error', onError).on('exit', onExit);
    worker.postMessage({ type: 'phase', phase } satisfies ToWorker);
  });
}

function inlinePool(): Pool {
  return {
    async run(name, input, phases, options) {
      const words = new Int32Array(new SharedArrayBuffer(control.size * 4));
      const job = jobs[name](input as never) as RunningJob;
      for (const phase of phases) {
        for (let from = 0; from < phase.count; from += piece) {
          if (options.signal.aborted) throw new CellarError('E_CANCELLED');
          job.work(phase.name, from, Math.min(from + piece, phase.count));
          Atomics.add(words, control.done, Math.min(piece, phase.count - from));
          options.onProgress?.(Atomics.load(words, control.done));
          await new Promise(setImmediate);
        }
      }
      const totals: Record<string, number> = {};
      add(totals, job.counts());
      return totals as JobResult<typeof name>;
    },
    [Symbol.dispose]() {},
  };
}

function watch(words: Int32Array, { signal, onProgress }: RunOptions): Disposable {
  const stop = (): void => {
    Atomics.store(words, control.stop, 1);
  };
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop);
  const tell = (): void => onProgress?.(Atomics.load(words, control.done));
  const timer = setInterval(tell, 100);
  timer.unref();
  return {
    [Symbol.dispose]() {
      tell();
      signal.removeEventListener('abort', stop);
      clearInterval(timer);
    },
  };
}

function add(totals: Record<string, number>, counts: Record<string, number>): void {
  for (const [name, count] of Object.entries(counts)) totals[name] = (totals[name] ?? 0) + count;
}
