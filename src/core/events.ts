/**
 * The one event stream. Operations emit these; the renderers of `cli/` (and later server-sent events and logs)
 * are the only readers. Events are plain data and may be dropped: a result never depends on one.
 */
import type { ErrorCode } from './error-registry.ts';
import type { CellarError } from './errors.ts';

export type CellarEvent =
  /** A step of the verb began; `total` in `unit`s where it is known. */
  | {
      readonly type: 'step';
      readonly step: string;
      readonly label: string;
      readonly unit: ProgressUnit;
      readonly total?: number;
    }
  /** Work done so far in a step; absolute, not a difference. */
  | { readonly type: 'progress'; readonly step: string; readonly done: number; readonly total?: number }
  | { readonly type: 'step-end'; readonly step: string }
  /** One try of a request failed; `waitMs` until the next, absent after the last. */
  | {
      readonly type: 'attempt';
      readonly url: string;
      readonly attempt: number;
      readonly of: number;
      readonly problem: string;
      readonly waitMs?: number;
    }
  | { readonly type: 'note'; readonly text: string }
  /** The code of an error that was survived, or one of its own, which begins with `W_`. */
  | {
      readonly type: 'warning';
      readonly code: ErrorCode | `W_${string}`;
      readonly text: string;
      readonly hint?: string;
    }
  | { readonly type: 'error'; readonly error: CellarError };

export type ProgressUnit = 'bytes' | 'files' | 'objects';

/** An error that was survived. */
export function asWarning({ code, message: text, hint }: CellarError): CellarEvent {
  return { type: 'warning', code, text, ...(hint === undefined ? {} : { hint }) };
}

export type EventSink = (event: CellarEvent) => void;

export const ignoreEvents: EventSink = () => {};
