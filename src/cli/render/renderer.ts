/** The four ways of showing events while a verb runs, all on standard error. Chosen once, by `--progress`. */
import type { CellarEvent } from '../../core/events.ts';
import { jsonRenderer } from './json.ts';
import { linesRenderer } from './lines.ts';
import type { Style } from './style.ts';
import { ttyRenderer } from './tty.ts';

export const progressModes = ['auto', 'tty', 'lines', 'json', 'none'] as const;
export type ProgressMode = (typeof progressModes)[number];

/** The part of a stream that renderers need. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

export interface RendererOptions {
  readonly screen: Screen;
  readonly style: Style;
  /** No progress and no notes; warnings stay. */
  readonly quiet: boolean;
  /** Attempts that failed are told as well. */
  readonly verbose?: boolean;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export interface Renderer {
  readonly event: (event: CellarEvent) => void;
  /** Take down what is drawn in place, so that other text can follow. */
  readonly clear: () => void;
}

export function createRenderer(mode: ProgressMode, options: RendererOptions): Renderer {
  switch (mode === 'auto' ? automatic(options) : mode) {
    case 'tty':
      return ttyRenderer(options);
    case 'lines':
      return linesRenderer(options);
    case 'json':
      return jsonRenderer(options);
    case 'none':
      return linesRenderer({ ...options, quiet: true });
  }
}

function automatic({ screen, quiet }: RendererOptions): Exclude<ProgressMode, 'auto'> {
  if (quiet) return 'none';
  return screen.isTTY === true && process.env['TERM'] !== 'dumb' ? 'tty' : 'lines';
}
