/** Notes, warnings and errors met on the way, as the lines that people read. */
import type { CellarEvent } from '../../core/events.ts';
import { errorLines } from './error.ts';
import type { Style } from './style.ts';
import { formatDuration } from './units.ts';

/** `undefined` for events that are no message, for notes when `quiet`, and for attempts unless `verbose`. */
export function announcement(
  event: CellarEvent,
  { style, quiet, verbose = false }: { style: Style; quiet: boolean; verbose?: boolean },
): string | undefined {
  switch (event.type) {
    case 'attempt':
      return verbose && !quiet ? attemptLine(event) : undefined;
    case 'note':
      return quiet ? undefined : event.text;
    case 'warning': {
      const hint = event.hint === undefined ? [] : [`${style.cyan('hint:')} ${event.hint}`];
      return [`cellar: ${style.yellow('warning')}: ${event.text}`, ...hint].join('\n');
    }
    case 'error':
      return errorLines(event.error, { style }).join('\n');
    default:
      return undefined;
  }
}

function attemptLine(event: Extract<CellarEvent, { type: 'attempt' }>): string {
  const { url, attempt, of, problem, waitMs } = event;
  const next = waitMs === undefined ? '' : `; next in ${formatDuration(waitMs / 1000)}`;
  return `attempt ${attempt} of ${of}: ${url} ${problem}${next}`;
}
