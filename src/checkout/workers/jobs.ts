/** The jobs a worker thread knows, by name: functions do not cross threads, names do. */
import { materializeJob } from '../materialize/job.ts';
import { verifyJob } from '../verify/job.ts';

export interface RunningJob {
  /** Work on items `from` … `to`−1 of a phase. */
  work(phase: string, from: number, to: number): void;
  /** Counts since the last call; they are added up over the threads. */
  counts(): Record<string, number>;
}

export const jobs = { materialize: materializeJob, verify: verifyJob } as const;

export type JobName = keyof typeof jobs;
export type JobInput<N extends JobName> = Parameters<(typeof jobs)[N]>[0];
export type JobResult<N extends JobName> = ReturnType<ReturnType<(typeof jobs)[N]>['counts']>;
