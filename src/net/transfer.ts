/** Bringing the bytes of a file into its part file: one connection at first, several where that helps. */
import { sha256Stream } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { Tries } from './mirrors.ts';
import { keptAhead } from './arrivals.ts';
import { askForRest, page } from './ask.ts';
import { fetchSegments, mayBeSplit } from './segments.ts';
import {
  Changed,
  changedWhileRead,
  dropFrom,
  remember,
  unfit,
  type Session,
  type Stream,
} from './session.ts';
import { createWriteQueue } from './write-queue.ts';

/** Resolves to the size when all bytes are in the file. @throws the client's, E_HTTP_BODY, E_NO_SPACE, E_CANCELLED */
export async function transfer(session: Session): Promise<number> {
  const { signal } = session;
  const tries: Tries = { made: 0 };
  // An earlier process's segments are gone on with as they are.
  if (session.segmented) await fetchSegments(session, undefined);
  for (;;) {
    const size = session.version?.size;
    const tail = session.arrivals.present.prefix();
    if (size !== undefined && tail === size && session.checked === undefined) return size;
    const mirror = session.mirrors.current();
    let stream: Stream;
    try {
      stream = await askForRest(session);
    } catch (error) {
      await session.mirrors.trouble(error, { mirror, opened: false, progressed: 0, tries, signal });
      continue;
    }
    if (mayBeSplit(session, stream)) {
      await fetchSegments(session, stream);
      continue;
    }
    const progress = { bytes: 0 };
    try {
      return await receive(session, stream, progress);
    } catch (error) {
      if (error instanceof Changed) throw error.error;
      const failed = { mirror, opened: true, progressed: progress.bytes, tries, signal };
      await session.mirrors.trouble(error, failed);
    }
  }
}

/** One stream to its end. Where the file has bytes already they are compared first. */
async function receive(session: Session, stream: Stream, progress: { bytes: number }): Promise<number> {
  const { arrivals, part, wanted, maxBytes } = session;
  const { url } = stream.response;
  const size = session.version?.size;
  const most = Math.min(maxBytes, size ?? Infinity, wanted.size ?? Infinity);
  let at = stream.at;
  let tail = arrivals.present.prefix();
  let queue = createWriteQueue(part, tail, arrivals);
  const compare = arrivals.hasGaps() ? comparedAsAWhole(session, tail) : comparedBytes(session);
  const compared = (): void => {
    session.checked = undefined;
    arrivals.hold(undefined);
    remember(session);
  };
  try {
    for await (const chunk of stream.response.body) {
      if (at + chunk.length > most) {
        session.version = undefined;
        session.junk = true;
        throw unfit(url, `it has more than ${most} bytes`);
      }
      const equal = at < tail ? await compare(at, chunk.subarray(0, tail - at)) : 0;
      if (at < tail) {
        at += equal;
        if (equal < chunk.length && at < tail) {
          dropFrom(session, at);
          tail = at;
          queue = createWriteQueue(part, at, arrivals);
        }
        if (at < tail) {
          if (!arrivals.hasGaps()) arrivals.hold((session.checked = at));
          continue;
        }
        compared();
      }
      const rest = chunk.subarray(equal);
      if (rest.length === 0) continue;
      progress.bytes += rest.length;
      await queue.add(rest);
      at += rest.length;
      while (!session.signal.aborted && at - (arrivals.slowest() ?? at) > keptAhead) await arrivals.changed();
    }
  } finally {
    await stream.response.discard();
    await queue.flush();
    remember(session);
  }
  const promised = size ?? wanted.size;
  if (promised !== undefined && at < promised) {
    const problem = `it ended after ${at} of ${promised} bytes${page(stream.response.headers)}`;
    // What the server itself promised may come the next time.
    throw size === undefined
      ? unfit(url, problem)
      : new CellarError('E_HTTP_BODY', { details: { url, problem } });
  }
  if (at < tail) dropFrom(session, at);
  if (session.checked !== undefined) compared();
  return at;
}

/** How many bytes of `chunk` came before at `at`, from the first on. */
type Compare = (at: number, chunk: Buffer) => Promise<number>;

/** With those in the file. */
function comparedBytes({ part }: Session): Compare {
  return async (at, chunk) => {
    let same = 0;
    while (same < chunk.length) {
      const old = await part.read(at + same, Buffer.allocUnsafe(chunk.length - same));
      const now = chunk.subarray(same, same + old.length);
      if (!now.equals(old)) return same + now.findIndex((byte, index) => byte !== old[index]);
      same += old.length;
    }
    return same;
  };
}

/** Where not all are in the file: all up to `tail` by their digest, in the end. @throws Changed when one differs */
function comparedAsAWhole(session: Session, tail: number): Compare {
  const now = sha256Stream();
  return async (at, chunk) => {
    now.update(chunk);
    if (at + chunk.length === tail && now.digest('hex') !== (await session.arrivals.digestSoFar(tail)))
      throw changedWhileRead(session);
    return chunk.length;
  };
}
