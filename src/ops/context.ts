/** What every operation gets: where the store is, where events go, and the signal that cancels it. */
import type { EventSink } from '../core/events.ts';

export interface Context {
  readonly storeRoot: string;
  /** `--config`; else the usual places are looked at by the verbs that need it. */
  readonly configPath?: string | undefined;
  readonly events: EventSink;
  readonly signal: AbortSignal;
}
