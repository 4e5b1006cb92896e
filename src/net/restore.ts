/** What an earlier process left in the part file: how much of it counts, and whether all is done already. */
import { createArrivals } from './arrivals.ts';
import { redact } from '../core/redact.ts';
import type { Downloaded } from './download.ts';
import type { Tries } from './mirrors.ts';
import { segmentSize, segmentsOf, type Session } from './session.ts';
import { sameVersion, validatorOf, versionOf } from './version.ts';
import { mostUnderWay } from './write-queue.ts';

/**
 * Takes over what can be gone on with and empties the part file otherwise. Resolves to the result when the file is
 * complete and has the wanted digest, so that nobody needs to be asked.
 */
export async function restore(session: Session): Promise<Downloaded | undefined> {
  const { part, arrivals, wanted } = session;
  if (!takeOver(session)) return void startAgain(session);
  const size = session.version?.size;
  if (wanted.digest === undefined || size === undefined || arrivals.present.prefix() !== size)
    return undefined;
  const sha256 = await arrivals.digest(size);
  return sha256 === wanted.digest ? { file: part.path, bytes: size, sha256 } : void startAgain(session);
}

/** A complete file whose digest nobody knows: is it what the server has now? Empties the part file when it is not. */
export async function isStillThere(session: Session): Promise<boolean> {
  const { version, arrivals, mirrors, client, headers, signal } = session;
  if (version?.size === undefined || arrivals.present.prefix() !== version.size) return false;
  const tries: Tries = { made: 0 };
  for (;;) {
    const mirror = mirrors.current();
    try {
      const response = await client.open(mirror.url, {
        headers: {
          ...headers,
          ...(version.etag === undefined ? {} : { 'if-none-match': version.etag }),
          ...(version.lastModified === undefined ? {} : { 'if-modified-since': version.lastModified }),
        },
        accept: [304],
        foreign: mirror.foreign,
        signal,
      });
      await response.discard();
      if (response.status === 304 || sameVersion(version, versionOf(response)) === true) return true;
      startAgain(session);
      return false;
    } catch (error) {
      await mirrors.trouble(error, { mirror, opened: false, progressed: 0, tries, signal });
    }
  }
}

/** @returns false when nothing in the file can be trusted */
function takeOver(session: Session): boolean {
  const { part, arrivals, wanted, mirrors } = session;
  const found = part.recall(wanted.digest !== undefined);
  if (found === undefined) return false;
  const { state, bytes } = found;
  const { size, etag, lastModified, segments, settled = 0 } = state;
  const version = { size, etag, lastModified };
  if (wanted.digest === undefined && validatorOf(version) === undefined) return false;
  if (size !== undefined && (bytes > size || size !== (wanted.size ?? size) || size > session.maxBytes))
    return false;
  const from = redact(mirrors.current().name) === state.url ? mirrors.current().index : -1;
  session.version = { ...version, from };
  if (segments === undefined || size === undefined) {
    const sure = Math.min(bytes, Math.max(settled, bytes - mostUnderWay));
    arrivals.written(0, sure);
    part.truncate(sure);
    // Somebody has cut it: what is said of its length is wrong until it is said again.
    if (settled > bytes) part.forget();
    return true;
  }
  const all = segmentsOf(size);
  for (const { start, end } of segments.flatMap((index) => all[index] ?? []))
    if (end <= bytes) arrivals.written(start, end);
  const prefix = arrivals.present.prefix();
  session.segmented = size > prefix + segmentSize;
  if (!session.segmented) {
    arrivals.cut(prefix);
    part.truncate(prefix);
  }
  return true;
}

function startAgain(session: Session): void {
  session.arrivals = createArrivals(session.part);
  session.version = undefined;
  session.segmented = false;
  session.part.forget();
  session.part.truncate(0);
}
