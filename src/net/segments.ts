/**
 * Several connections for one large file. Each fetches segments in order, only a few ahead of the reader; the first
 * connection goes on through the file until it meets a segment that another one has. Helpers come one by one, when the
 * first connection alone has not been quick, and as long as the last one helped.
 */
import { CellarError } from '../core/errors.ts';
import { keptAhead } from './arrivals.ts';
import { askForRange } from './ask.ts';
import type { Tries } from './mirrors.ts';
import { remember, segmentSize, segmentsOf, type Session, type Stream } from './session.ts';
import type { Timing } from './timing.ts';
import { validatorOf } from './version.ts';
import { createWriteQueue } from './write-queue.ts';

const worthSplitting = 32 << 20;
/** How often it is asked whether another connection would help. */
const helpAfterMs = 500;
/** The last one did when that much more came with it: else the link is full, and more would only share it. */
const worthHelping = 1.15;
/** Where this thread does something for a larger part of the time than this, more connections only take turns. */
const busy = 0.5;
/** Segments beyond those under way that may be ahead of the reader. */
const spare = 2;

interface Plan {
  readonly session: Session;
  readonly segments: readonly Segment[];
  readonly claimed: Set<number>;
  /** Segments that may be under way or ahead of the reader. One connection alone stays within what is kept in memory. */
  window: number;
  /** Bytes, by all connections. */
  received: number;
  /** Fires when the download is cancelled or another connection failed. */
  readonly signal: AbortSignal;
}

type Segment = { readonly start: number; readonly end: number };

/** Is this an answer whose file several connections should fetch? */
export function mayBeSplit(session: Session, { at, response }: Stream): boolean {
  const { version, checked, alone, wanted } = session;
  if (alone || checked !== undefined || version?.size === undefined || session.client.concurrency < 2)
    return false;
  if (version.size - at < worthSplitting) return false;
  const ranges = response.status === 206 || response.headers['accept-ranges']?.toLowerCase() === 'bytes';
  return ranges && (wanted.digest !== undefined || validatorOf(version) !== undefined);
}

/**
 * Ends when the file is complete, or with `session.alone` set when ranges do not work out.
 * @throws what `transfer` does
 */
export async function fetchSegments(session: Session, first: Stream | undefined): Promise<void> {
  const { arrivals, part, timing } = session;
  session.segmented = true;
  remember(session);
  arrivals.passOn(session.passing);
  const [stop, nap] = [new AbortController(), new AbortController()];
  const signal = AbortSignal.any([session.signal, stop.signal]);
  const segments = segmentsOf(session.version?.size ?? 0);
  const plan: Plan = {
    session,
    segments,
    claimed: new Set(),
    window: keptAhead / segmentSize,
    received: 0,
    signal,
  };
  let failure: { error: unknown } | undefined;
  const work = async (stream?: Stream): Promise<void> => {
    try {
      await fetchInTurn(plan, stream);
    } catch (error) {
      failure ??= { error };
      stop.abort();
    }
    // Nothing is left that nobody has claimed: help that has not come yet is not needed.
    nap.abort();
    arrivals.notify();
  };
  const help = async (): Promise<void> => {
    const helpers: Promise<void>[] = [];
    let rate = 0;
    while (helpers.length < session.client.concurrency - 1) {
      // What an earlier process began with several connections was slow then.
      const now = first === undefined ? Infinity : await rateAlone(plan, nap.signal);
      if (now === undefined || now < rate * worthHelping) break;
      rate = first === undefined ? 0 : now;
      plan.window = helpers.length + 2 + spare;
      arrivals.notify();
      helpers.push(work());
      // A new connection takes its time to come to speed.
      if (first !== undefined) await napped(timing, nap.signal);
    }
    await Promise.all(helpers);
  };
  await Promise.all([work(first), help()]);
  arrivals.passOn(false);
  if (failure === undefined) return;
  if (!(failure.error instanceof NoRanges)) throw failure.error;
  const tail = arrivals.present.prefix();
  arrivals.cut(tail);
  part.truncate(tail);
  session.alone = true;
  session.segmented = false;
  remember(session);
}

/**
 * Bytes that came in an interval in which neither the reader nor this thread was what was waited for: waits for such
 * an interval. `undefined` when help is not needed any more.
 */
async function rateAlone(plan: Plan, stop: AbortSignal): Promise<number | undefined> {
  const { arrivals, timing } = plan.session;
  for (;;) {
    const [before, received] = [performance.eventLoopUtilization(), plan.received];
    if (!(await napped(timing, stop))) return undefined;
    const now = arrivals.present.prefix();
    const isReadersPace = now - (arrivals.slowest() ?? now) > segmentSize;
    if (isReadersPace) await arrivals.changed();
    else if (performance.eventLoopUtilization(before).utilization <= busy || plan.received === received)
      return plan.received - received;
  }
}

/** Resolves to false when help is not needed any more. */
async function napped(timing: Timing, signal: AbortSignal): Promise<boolean> {
  return await timing.sleep(helpAfterMs, signal).then(
    () => !signal.aborted,
    () => false,
  );
}

/** One connection: segment after segment, as long as there are some. */
async function fetchInTurn(plan: Plan, first: Stream | undefined): Promise<void> {
  const tries: Tries = { made: 0 };
  let stream = first;
  try {
    for (;;) {
      const segment = await claim(plan, stream?.at);
      if (segment === undefined) return;
      await fetchSegment(plan, { segment, stream, tries });
      stream = undefined;
    }
  } finally {
    // Nobody has read it when there was nothing left to claim, or the wait for that was cancelled.
    await stream?.response.discard();
  }
}

/** The segment around `at`, or the next that nobody has; waits until the reader is near enough. */
async function claim(plan: Plan, at?: number): Promise<Segment | undefined> {
  const { session, segments, claimed, signal } = plan;
  const { arrivals } = session;
  for (;;) {
    if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
    const isFree = ({ start, end }: Segment, index: number): boolean =>
      !claimed.has(index) && arrivals.present.missingFrom(start) < end;
    const index = at === undefined ? segments.findIndex(isFree) : Math.floor(at / segmentSize);
    const segment = segments[index];
    if (segment === undefined || !isFree(segment, index)) return undefined;
    const base = Math.floor((arrivals.slowest() ?? arrivals.present.prefix()) / segmentSize);
    if (index < base + plan.window) {
      claimed.add(index);
      return segment;
    }
    await arrivals.changed();
  }
}

/** Until the segment is in the file, from whichever mirror. `stream` may go on into the segments after it. */
async function fetchSegment(
  plan: Plan,
  { segment, stream: first, tries }: { segment: Segment; stream: Stream | undefined; tries: Tries },
): Promise<void> {
  const { session, signal } = plan;
  const { arrivals, mirrors } = session;
  const cursor = { segment, bytes: 0 };
  for (let stream = first; ; stream = undefined) {
    const { start, end } = cursor.segment;
    const at = arrivals.present.missingFrom(start);
    if (at >= end) return;
    const mirror = stream?.mirror ?? mirrors.current();
    const before = cursor.bytes;
    let opened = stream !== undefined;
    try {
      if (stream === undefined) {
        stream = await askForRange(session, { at, end, signal });
        if (stream?.response.status !== 206) {
          await stream?.response.discard();
          throw new NoRanges();
        }
        opened = true;
      }
      await receive(plan, stream, cursor);
    } catch (error) {
      if (error instanceof NoRanges) throw error;
      const progressed = cursor.bytes - before;
      await mirrors.trouble(error, { mirror, opened, progressed, tries, signal });
    }
  }
}

async function receive(
  plan: Plan,
  { at: from, response }: Stream,
  cursor: { segment: Segment; bytes: number },
): Promise<void> {
  const { session } = plan;
  const { arrivals, part } = session;
  let at = from;
  const queue = createWriteQueue(part, at, arrivals);
  try {
    for await (const chunk of response.body) {
      for (let rest = chunk; rest.length > 0;) {
        if (at === cursor.segment.end) {
          const next = await claim(plan, at);
          if (next === undefined) return;
          cursor.segment = next;
          remember(session);
        }
        const piece = rest.subarray(0, cursor.segment.end - at);
        cursor.bytes += piece.length;
        plan.received += piece.length;
        await queue.add(piece);
        at += piece.length;
        rest = rest.subarray(piece.length);
      }
    }
  } finally {
    await response.discard();
    await queue.flush();
    remember(session);
  }
}

/** The server does not keep to ranges after all, or has another version now: one connection sorts that out. */
class NoRanges extends Error {}
