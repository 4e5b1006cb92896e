/** What is known of the steps under way: how far, how fast, how long still. Shared by the bars and the lines. */
import type { CellarEvent, ProgressUnit } from '../../core/events.ts';
import { formatBytes, formatCount, formatDuration } from './units.ts';

export interface Step {
  readonly name: string;
  readonly label: string;
  readonly unit: ProgressUnit;
  readonly total: number | undefined;
  readonly done: number;
  /** Milliseconds, of the renderer's clock. */
  readonly started: number;
  /** Units a second over the last seconds; `undefined` until there is enough to tell. */
  readonly rate: number | undefined;
  readonly sampled: { readonly at: number; readonly done: number };
}

/** Steps in the order they began. */
export type Steps = Map<string, Step>;

/** Rates are smoothed over samples at least this far apart. */
const sampleEvery = 500;

/** Brings `steps` up to date; returns the step the event is about, ended or not, if it is about one. */
export function track(steps: Steps, event: CellarEvent, now: number): Step | undefined {
  if (event.type === 'step') {
    const { step: name, label, unit, total } = event;
    const step: Step = {
      ...{ name, label, unit, total },
      done: 0,
      started: now,
      rate: undefined,
      sampled: { at: now, done: 0 },
    };
    steps.set(name, step);
    return step;
  }
  if (event.type !== 'progress' && event.type !== 'step-end') return undefined;
  const step = steps.get(event.step);
  if (step === undefined) return undefined;
  if (event.type === 'step-end') {
    steps.delete(event.step);
    return step;
  }
  const next = sample({ ...step, done: event.done, total: event.total ?? step.total }, now);
  steps.set(event.step, next);
  return next;
}

function sample(step: Step, now: number): Step {
  const elapsed = now - step.sampled.at;
  if (elapsed < sampleEvery) return step;
  const latest = ((step.done - step.sampled.done) / elapsed) * 1000;
  const rate = step.rate === undefined ? latest : step.rate * 0.6 + latest * 0.4;
  return { ...step, rate, sampled: { at: now, done: step.done } };
}

/** Between 0 and 1; `undefined` when the total is unknown. */
export function fraction({ done, total }: Step): number | undefined {
  return total === undefined || total <= 0 ? undefined : Math.min(1, done / total);
}

/** `512 MiB of 1.1 GiB`, `12,000 files`. */
export function amount({ done, total, unit }: Step): string {
  if (unit === 'bytes')
    return total === undefined ? formatBytes(done) : `${formatBytes(done)} of ${formatBytes(total)}`;
  return total === undefined
    ? `${formatCount(done)} ${unit}`
    : `${formatCount(done)} of ${formatCount(total)} ${unit}`;
}

/** `310 MiB/s`, `8,000 files/s`; empty until it is known. */
export function speed({ rate, unit }: Step): string {
  if (rate === undefined || rate <= 0) return '';
  return unit === 'bytes' ? `${formatBytes(rate)}/s` : `${formatCount(Math.round(rate))} ${unit}/s`;
}

/** `12 s left`; empty while it cannot be told. */
export function remaining(step: Step): string {
  const { total, done, rate } = step;
  if (total === undefined || rate === undefined || rate <= 0 || done >= total) return '';
  return `${formatDuration((total - done) / rate)} left`;
}
