/** A download with waits that take no time, for tests of what comes out of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { sha256, type Digest } from '../../src/core/digest.ts';
import type { CellarEvent } from '../../src/core/events.ts';
import { startDownload, type DownloadRequest } from '../../src/net/download.ts';
import { createHttpClient } from '../../src/net/http-client.ts';
import type { HttpOptions } from '../../src/net/port.ts';
import type { Timing } from '../../src/net/timing.ts';

/** Waits end at once, however long. */
export const impatient: Timing = {
  sleep: () => Promise.resolve(),
  random: () => 0.5,
  now: () => performance.now(),
};

export interface Outcome {
  /** What the reader got. */
  readonly read: Buffer;
  /** What lies in the part file. */
  readonly file: Buffer;
  readonly sha256: Digest;
  readonly events: readonly CellarEvent[];
}

/**
 * The whole download, read while it arrives and discarded at the end. What the reader got, what lies in the file and
 * the digest that was told have to agree. @throws what the download does
 */
export async function fetchAll(
  urls: readonly string[],
  directory: string,
  options: Partial<DownloadRequest> & { readonly http?: HttpOptions; readonly keep?: boolean } = {},
): Promise<Outcome> {
  const events: CellarEvent[] = [];
  const { http = {}, keep = false, ...rest } = options;
  await using client = createHttpClient(http, {
    events: (event) => events.push(event),
    timing: impatient,
    environment: {},
  });
  await using download = await startDownload(client, {
    urls,
    directory,
    key: 'k',
    signal: new AbortController().signal,
    events: (event) => events.push(event),
    timing: impatient,
    ...rest,
  });
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of download.chunks()) chunks.push(Buffer.from(chunk));
    const finished = await download.finished;
    const [read, file] = [Buffer.concat(chunks), readFileSync(finished.file!)];
    if (!read.equals(file)) throw new Error('the reader got other bytes than the file has');
    if (sha256(file) !== finished.sha256) throw new Error('the digest is not that of the file');
    if (file.length !== finished.bytes) throw new Error('the size is not that of the file');
    return { read, file, sha256: finished.sha256, events };
  } finally {
    if (!keep) {
      await download.discard();
      const left = readdirSync(directory);
      // oxlint-disable-next-line no-unsafe-finally
      if (left.length > 0) throw new Error(`discarding left ${left.join(', ')}`);
    }
  }
}
