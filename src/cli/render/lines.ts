/**
 * Plain lines, for logs and pipes: one about every second for a step that takes that long, fewer the longer it
 * takes, nothing for one that does not. Never redraws.
 */
import type { Renderer, RendererOptions } from './renderer.ts';
import { announcement } from './message.ts';
import { amount, fraction, remaining, speed, track, type Step, type Steps } from './progress.ts';
import { formatDuration } from './units.ts';

const every = 1000;

export function linesRenderer({ screen, style, quiet, verbose = false, now }: RendererOptions): Renderer {
  const steps: Steps = new Map();
  const printed = new Set<string>();
  let last = -Infinity;
  return {
    event(event) {
      const message = announcement(event, { style, quiet, verbose });
      if (message !== undefined) screen.write(`${message}\n`);
      const at = now();
      const step = track(steps, event, at);
      if (step === undefined || quiet) return;
      if (event.type === 'step-end') {
        if (printed.delete(step.name)) screen.write(`${ended(step, at)}\n`);
      } else if (at - step.started >= every && at - last >= Math.max(every, (at - step.started) / 10)) {
        last = at;
        printed.add(step.name);
        screen.write(`${underWay(step)}\n`);
      }
    },
    clear() {},
  };
}

function underWay(step: Step): string {
  const part = fraction(step);
  const percent = part === undefined ? '' : `${Math.floor(part * 100)} %`;
  return `${step.label}: ${[amount(step), percent, speed(step), remaining(step)].filter(Boolean).join(', ')}`;
}

function ended(step: Step, at: number): string {
  const done = { ...step, total: undefined };
  return `${step.label}: ${amount(done)} in ${formatDuration((at - step.started) / 1000)}`;
}
