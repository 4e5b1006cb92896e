/**
 * One file from the network, in order and while it arrives, whatever happens on the way: connections break, processes
 * are killed, mirrors fail, servers change the file or lie. What comes out is the bytes of one version, checked
 * against what the caller knows, or an error.
 */
import { CellarError, isCellarError } from '../core/errors.ts';
import type { Digest } from '../core/digest.ts';
import type { EventSink } from '../core/events.ts';
import { createArrivals } from './arrivals.ts';
import { createMirrors } from './mirrors.ts';
import { openPartFile } from './part-file.ts';
import type { HttpClient } from './port.ts';
import { isStillThere, restore } from './restore.ts';
import { remember, type Session } from './session.ts';
import { systemTiming, type Timing } from './timing.ts';
import { transfer } from './transfer.ts';

export interface DownloadRequest {
  /** The first and its mirrors. */
  readonly urls: readonly string[];
  /** Where the part files are; made if need be. May persist: what is found there is gone on with. */
  readonly directory: string;
  /** Names the part files, so it should tell one content from another. */
  readonly key: string;
  readonly size?: number | undefined;
  readonly digest?: Digest | undefined;
  readonly maxBytes?: number | undefined;
  /**
   * The chunks are read once, from the beginning on, and the file is not wanted: what comes more quickly than it is
   * read goes to the reader alone.
   */
  readonly passing?: boolean | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal;
  readonly events: EventSink;
  readonly timing?: Timing | undefined;
}

export interface Downloaded {
  /** The part file, if it has all. It may be moved away; else `discard` removes it. */
  readonly file: string | undefined;
  readonly bytes: number;
  readonly sha256: Digest;
}

/** Disposing it stops what is under way and keeps what has come for the next time. */
export interface Download extends AsyncDisposable {
  /** The mirror that is asked now, without credentials. */
  readonly url: string;
  readonly size: number | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  /**
   * The file from its first byte on, while it arrives; the connection waits for a slow reader. A chunk is good until
   * the next is asked for. Ends only when size and digest were found right. @throws what `finished` does
   */
  chunks(): AsyncIterable<Buffer>;
  /** @throws E_CHECKSUM_MISMATCH, E_HTTP_*, E_AUTHENTICATION, E_NO_SPACE, E_QUOTA, E_IO, E_CANCELLED */
  readonly finished: Promise<Downloaded>;
  /** Stops, and removes the part files. */
  discard(): Promise<void>;
}

/**
 * Resolves when a server has begun to answer (or nothing needs to be asked: the part file is complete and has the
 * digest). Waits while another process downloads under the same key. @throws what `finished` does
 */
export async function startDownload(client: HttpClient, request: DownloadRequest): Promise<Download> {
  const { urls, directory, key, size, digest, maxBytes = Infinity, headers = {}, events } = request;
  const { timing = systemTiming, passing = false } = request;
  const own = new AbortController();
  const signal = AbortSignal.any([request.signal, own.signal]);
  const part = await openPartFile(directory, key, signal);
  const begun = Promise.withResolvers<void>();
  const mirrors = createMirrors(urls, { retries: client.retries, timing, events });
  let url = mirrors.current().name;
  const session: Session = {
    ...{ client, part, mirrors, timing, signal, headers, maxBytes, passing },
    wanted: { size, digest },
    arrivals: createArrivals(part),
    begun(name) {
      url = name;
      begun.resolve();
    },
    ...{ version: undefined, checked: undefined, segmented: false, alone: false, junk: false },
  };
  const cancel = (): void => {
    session.arrivals.fail(new CellarError('E_CANCELLED', { cause: signal.reason }));
  };
  signal.addEventListener('abort', cancel, { once: true });
  const finished = fetchAndCheck(session).catch((error: unknown) => {
    if (session.junk || isCellarError(error, 'E_NO_SPACE') || isCellarError(error, 'E_QUOTA')) part.remove();
    session.arrivals.fail(error);
    throw error;
  });
  finished.then(() => begun.resolve(), begun.reject);
  let closed: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    own.abort();
    signal.removeEventListener('abort', cancel);
    await finished.catch(() => undefined);
  };
  const close = async (): Promise<void> => {
    await stop();
    await part[Symbol.asyncDispose]();
  };
  try {
    await begun.promise;
  } catch (error) {
    await close();
    throw error;
  }
  return {
    get url() {
      return url;
    },
    get size() {
      return session.version?.size;
    },
    get etag() {
      return session.version?.etag;
    },
    get lastModified() {
      return session.version?.lastModified;
    },
    chunks: () => session.arrivals.read(),
    finished,
    async discard() {
      await stop();
      // Without the lock they may be another process's by now.
      if (closed === undefined) part.remove();
    },
    async [Symbol.asyncDispose]() {
      closed ??= close();
      await closed;
    },
  };
}

async function fetchAndCheck(session: Session): Promise<Downloaded> {
  const { part, wanted, mirrors } = session;
  const found = await restore(session);
  if (found !== undefined) return await handOver(session, found);
  if (await isStillThere(session)) return await handOver(session, await hashed(session));
  await transfer(session);
  const result = await hashed(session);
  if (wanted.digest !== undefined && result.sha256 !== wanted.digest) {
    session.junk = true;
    const details = { source: mirrors.current().name, found: result.sha256, wanted: wanted.digest };
    throw new CellarError('E_CHECKSUM_MISMATCH', { details });
  }
  // Even a server that told no size: the next process can see that all is here.
  session.version = { ...session.version!, size: result.bytes };
  if (result.file !== undefined) {
    session.segmented = false;
    part.truncate(result.bytes);
  }
  remember(session);
  return await handOver(session, result);
}

async function hashed({ arrivals, part }: Session): Promise<Downloaded> {
  const bytes = arrivals.present.prefix();
  const sha256 = await arrivals.digest(bytes);
  return { file: arrivals.hasGaps() ? undefined : part.path, bytes, sha256 };
}

function handOver({ arrivals, begun, mirrors }: Session, result: Downloaded): Promise<Downloaded> {
  begun(mirrors.current().name);
  arrivals.complete(result.bytes);
  return Promise.resolve(result);
}
