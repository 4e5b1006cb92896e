/** Notes, warnings and errors met on the way, as the lines that people read. */
import type { CellarEvent } from '../../core/events.ts';
import { errorLines } from './error.ts';
import type { Style } from './style.ts';

/** `undefined` for events that are no message, and for notes when `quiet`. */
export function announcement(
  event: CellarEvent,
  { style, quiet }: { style: Style; quiet: boolean },
): string | undefined {
  switch (event.type) {
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
