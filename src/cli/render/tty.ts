/** One bar for each step under way, redrawn in place on standard error; messages scroll by above them. */
import { announcement } from './message.ts';
import { amount, fraction, remaining, speed, track, type Step, type Steps } from './progress.ts';
import type { Renderer, RendererOptions } from './renderer.ts';
import { clip, width } from './table.ts';

/** Redraws are at least this many milliseconds apart, and a step shorter than `delay` draws nothing. */
const every = 100;
const delay = 200;

export function ttyRenderer({ screen, style, quiet, verbose = false, now }: RendererOptions): Renderer {
  const steps: Steps = new Map();
  let drawn = 0;
  let last = -Infinity;
  const clear = (): void => {
    if (drawn > 0) screen.write(`\x1b[${drawn}A\r\x1b[J`);
    drawn = 0;
    last = -Infinity;
  };
  const draw = (at: number): void => {
    const columns = Math.max(10, columnsOf(screen) - 1);
    const visible = [...steps.values()].filter(({ started }) => at - started >= delay);
    const lines = visible.map((step) => stepLine(step, columns));
    const erase = drawn > 0 ? `\x1b[${drawn}A\r` : '';
    if (lines.length > 0 || drawn > 0) {
      screen.write(`${erase}${lines.map((line) => `${line}\x1b[K\n`).join('')}\x1b[J`);
    }
    drawn = lines.length;
    last = at;
  };
  return {
    event(event) {
      const message = announcement(event, { style, quiet, verbose });
      if (message !== undefined) {
        clear();
        screen.write(`${message}\n`);
      }
      const at = now();
      if (track(steps, event, at) === undefined || quiet) return;
      if (event.type === 'step-end' && steps.size === 0) clear();
      else if (event.type === 'step-end' || at - last >= every) draw(at);
    },
    clear,
  };
}

/** `importing x.tar  ████████░░░░  512 MiB of 1.1 GiB  310 MiB/s  2.0 s left`, cut to `columns`. */
function stepLine(step: Step, columns: number): string {
  const facts = [amount(step), speed(step), remaining(step)].filter(Boolean).join('  ');
  const part = fraction(step);
  // Of a width that does not change with the figures, so that the bar stays where it is.
  const room = columns - Math.max(width(facts), factsWidth) - 4;
  const label = shorten(step.label, Math.max(10, Math.min(width(step.label), room - leastBar)));
  const cells = Math.min(30, room - width(label));
  const bar = part === undefined || cells < 6 ? '' : `  ${drawBar(part, cells)}`;
  return clip(`${label}${bar}  ${facts}`, columns);
}

const leastBar = 8;
/** `330 MiB of 330 MiB  26.2 MiB/s  5.0 s left`; longer ones take from the bar. */
const factsWidth = 42;

/** The name of a file tells more than the directories before it: `importing …/debian-12.tar.zst`. */
function shorten(label: string, columns: number): string {
  if (width(label) <= columns) return label;
  const [, verb = '', name = label] = /^(\S+ )\S*\/([^/]+)$/.exec(label) ?? [];
  const short = `${verb}…/${name}`;
  return verb !== '' && width(short) <= columns ? short : clip(verb + name, columns);
}

function drawBar(part: number, cells: number): string {
  const full = Math.round(part * cells);
  return '█'.repeat(full) + '░'.repeat(cells - full);
}

/** A terminal that does not know its size says 0. */
function columnsOf({ columns = 0 }: RendererOptions['screen']): number {
  return columns > 0 ? columns : 80;
}
