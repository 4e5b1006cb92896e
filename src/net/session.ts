/** What the parts of one download share: the file, who follows it, whom to ask, and which version is being fetched. */
import { CellarError } from '../core/errors.ts';
import type { Digest } from '../core/digest.ts';
import { redact } from '../core/redact.ts';
import type { Arrivals } from './arrivals.ts';
import { Failed } from './attempts.ts';
import type { Mirror, Mirrors } from './mirrors.ts';
import type { PartFile } from './part-file.ts';
import type { HttpClient, HttpResponse } from './port.ts';
import type { Timing } from './timing.ts';
import type { Version } from './version.ts';

export const segmentSize = 8 << 20;

export interface Session {
  readonly client: HttpClient;
  readonly part: PartFile;
  /** Replaced while nobody follows yet, when an earlier process's bytes are of no use. */
  arrivals: Arrivals;
  readonly mirrors: Mirrors;
  readonly timing: Timing;
  readonly signal: AbortSignal;
  readonly headers: Readonly<Record<string, string>>;
  /** What the caller knows of the file. */
  readonly wanted: { readonly size?: number | undefined; readonly digest?: Digest | undefined };
  readonly maxBytes: number;
  /** What is read as it comes need not be in the file. */
  readonly passing: boolean;
  /** Told once, when it is known what is being fetched. */
  readonly begun: (url: string) => void;
  /** What the bytes are of, and the index of the mirror whose validators these are. */
  version: (Version & { readonly from: number }) | undefined;
  /** How much of the file was found to be of `version` while the rest is still to be compared; else `undefined`. */
  checked: number | undefined;
  /** Several connections write: the file's length says nothing. */
  segmented: boolean;
  /** One connection only from now on: the server does not keep to what ranges need. */
  alone: boolean;
  /** The bytes in the file are of no use to anybody. */
  junk: boolean;
}

/** A response whose first byte belongs at `at`. */
export interface Stream {
  readonly at: number;
  readonly response: HttpResponse;
  readonly mirror: Mirror;
}

export function remember(session: Session): void {
  const { part, version, mirrors, arrivals, segmented } = session;
  if (version === undefined || session.checked !== undefined) return;
  const { size, etag, lastModified } = version;
  const url = redact(mirrors.current().name);
  const state = { url, size, etag, lastModified };
  // Then the length of the file says nothing.
  if (!segmented)
    return arrivals.hasGaps()
      ? part.forget()
      : part.remember({ ...state, settled: arrivals.inFile.prefix() });
  const segments = segmentsOf(size ?? 0).filter(
    ({ start, end }) => arrivals.inFile.missingFrom(start) >= end,
  );
  part.remember({ ...state, segments: segments.map(({ start }) => start / segmentSize) });
}

/** Whatever the file holds is to be compared with what comes now; no other process may trust it meanwhile. */
export function beginComparing(session: Session, version: Version, from: number): void {
  const tail = session.arrivals.present.prefix();
  session.version = { ...version, from };
  session.segmented = false;
  session.checked = tail === 0 ? undefined : 0;
  // With gaps there is no comparing byte for byte, and no going on when anything differs.
  session.arrivals.hold(session.arrivals.hasGaps() ? undefined : session.checked);
  if (tail === 0) remember(session);
  else session.part.forget();
}

/** The bytes from `at` on were of another version. @throws E_HTTP_BODY when somebody has already got them */
export function dropFrom(session: Session, at: number): void {
  const { arrivals, part } = session;
  if (at < arrivals.handedOut() || arrivals.hasGaps()) throw changedWhileRead(session);
  arrivals.cut(at);
  part.truncate(at);
}

/** For bytes that somebody has already got and that are of another version than what comes now. */
export function changedWhileRead(session: Session): Changed {
  session.junk = true;
  return new Changed(
    new CellarError('E_HTTP_BODY', {
      details: { url: session.mirrors.current().name, problem: 'it changed while it was read' },
      hint: 'run the command again',
    }),
  );
}

/** Ends the download whatever mirrors are left: what was handed out cannot be taken back. */
export class Changed extends Error {
  readonly error: CellarError;

  constructor(error: CellarError) {
    super(error.message, { cause: error });
    this.error = error;
  }
}

/** The server's answer is of no use, and would not be the next time. */
export function unfit(url: string, problem: string): Failed {
  return new Failed(new CellarError('E_HTTP_BODY', { details: { url, problem } }), { again: false });
}

/** The segments of a file of `size` bytes, in order. */
export function segmentsOf(size: number): { start: number; end: number }[] {
  return Array.from({ length: Math.ceil(size / segmentSize) }, (_, at) => ({
    start: at * segmentSize,
    end: Math.min(size, (at + 1) * segmentSize),
  }));
}
