/**
 * One at a time for one key, across processes: whoever comes second waits, and then finds what the first brought.
 * The lock is a flock, so it ends with its process; its empty file stays.
 */
import { lstatSync, openSync, readdirSync, rmSync } from 'node:fs';
import { sha256 } from '../core/digest.ts';
import type { EventSink } from '../core/events.ts';
import { closeQuietly } from '../sys/close.ts';
import { makeDirectory } from '../sys/directory.ts';
import { flock, tryFlock } from '../sys/flock.ts';
import { inStore } from './layout.ts';

export interface Flight extends Disposable {
  /** Somebody else was in flight when we came. */
  readonly waited: boolean;
}

/** `events` hears of the wait, where it may be a long one. @throws E_CANCELLED */
export async function enterFlight(
  root: string,
  key: string,
  { signal, events }: { readonly signal: AbortSignal; readonly events?: EventSink },
): Promise<Flight> {
  const directory = downloadsDirectory(root);
  const fd = openSync(`${directory}/${downloadKey(key)}.flight`, 'a', 0o600);
  try {
    const waited = !tryFlock(fd, 'exclusive');
    if (waited) events?.({ type: 'note', text: `waiting for another command: ${key}` });
    if (waited) await flock(fd, 'exclusive', { signal });
    return { waited, [Symbol.dispose]: () => closeQuietly(fd) };
  } catch (error) {
    closeQuietly(fd);
    throw error;
  }
}

/** Where downloads wait to be whole; made on first use. */
export function downloadsDirectory(root: string): string {
  const directory = inStore(root, 'downloads');
  makeDirectory(directory, 0o700);
  return directory;
}

/**
 * Remove parts of transfers that nobody has continued since `before` (milliseconds since the epoch).
 * @returns bytes on disk that were freed, or would be
 */
export function sweepDownloads(
  root: string,
  before: number,
  { dryRun = false }: { dryRun?: boolean | undefined } = {},
): number {
  const directory = downloadsDirectory(root);
  let bytes = 0;
  for (const name of readdirSync(directory)) {
    if (!/\.(?:part|json~?)$/.test(name)) continue;
    const file = `${directory}/${name}`;
    const stat = lstatSync(file, { throwIfNoEntry: false });
    if (stat === undefined || stat.ctimeMs >= before) continue;
    bytes += stat.blocks * 512;
    // Its transfer may end this moment: no lock keeps it from that.
    if (!dryRun) rmSync(file, { force: true });
  }
  return bytes;
}

/** A file name for a URL, which shows nothing of it. */
export function downloadKey(text: string): string {
  return sha256(text).slice(0, 32);
}
