/**
 * One at a time for one key, across processes: whoever comes second waits, and then finds what the first brought.
 * The lock is a flock, so it ends with its process; its file stays, empty but for what is left for the next.
 */
import { ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import type { EventSink } from '../core/events.ts';
import { closeQuietly } from '../sys/close.ts';
import { flock, tryFlock } from '../sys/flock.ts';
import { downloadKey, downloadsDirectory } from './downloads.ts';

export interface Flight extends Disposable {
  /** Somebody else was in flight when we came. */
  readonly waited: boolean;
  /** What was left by whoever had it before; at most 4 KiB. It means nothing after a reboot, and is not synced. */
  left(): string;
  leave(text: string): void;
}

/** `events` hears of the wait, where it may be a long one. @throws E_CANCELLED */
export async function enterFlight(
  root: string,
  key: string,
  { signal, events }: { readonly signal: AbortSignal; readonly events?: EventSink },
): Promise<Flight> {
  const directory = downloadsDirectory(root);
  const fd = openSync(`${directory}/${downloadKey(key)}.flight`, 'a+', 0o600);
  try {
    const waited = !tryFlock(fd, 'exclusive');
    if (waited) events?.({ type: 'note', text: `waiting for another command: ${key}` });
    if (waited) await flock(fd, 'exclusive', { signal });
    return {
      waited,
      left: () => {
        const bytes = Buffer.alloc(4096);
        return bytes.toString('utf8', 0, readSync(fd, bytes, 0, bytes.length, 0));
      },
      leave: (text) => {
        ftruncateSync(fd);
        if (text !== '') writeSync(fd, text);
      },
      [Symbol.dispose]: () => closeQuietly(fd),
    };
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}
