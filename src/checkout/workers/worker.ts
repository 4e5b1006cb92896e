/** Entry point of a worker thread: takes one job, then its phases, and answers each with counts or an error. */
import { parentPort } from 'node:worker_threads';
import { toText } from '../../core/bytes.ts';
import { SysError, toCellarError } from '../../sys/errno.ts';
import { serveMessages } from '../../sys/worker-thread.ts';
import { jobs, type RunningJob } from './jobs.ts';
import { drain, type FromWorker, type ToWorker } from './pool.ts';

let job: RunningJob | undefined;
let words: Int32Array = new Int32Array(0);

serveMessages((message: ToWorker) => {
  if (message.type === 'job') {
    job = jobs[message.name](message.input as never);
    words = message.control;
    return;
  }
  parentPort?.postMessage(runPhase(message));
});

function runPhase({ phase }: Extract<ToWorker, { type: 'phase' }>): FromWorker {
  if (job === undefined) throw new Error('a phase came before its job');
  try {
    drain(job, phase, words);
    return { type: 'done', counts: job.counts() };
  } catch (error) {
    const { code, details, hint } = toCellarError(error, { doing: 'checking out', path: pathOf(error) });
    return { type: 'error', code, details, hint };
  }
}

function pathOf(error: unknown): string {
  if (error instanceof SysError && error.path !== undefined) return toText(error.path);
  return error instanceof Error && 'path' in error ? String(error.path) : 'the file system of the checkout';
}
