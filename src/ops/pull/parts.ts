/**
 * One part of an offer, its bytes in order as they come, from the network or from this machine; and the proof of a
 * signature over the part itself, once it is whole.
 */
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { startDownload } from '../../net/download.ts';
import type { Offer, Part } from '../../source/port.ts';
import { downloadKey, downloadsDirectory } from '../../store/downloads.ts';
import { fileChunks } from '../../sys/file-chunks.ts';
import type { HeldTransaction } from '../gc/bound.ts';
import type { Proof } from './evidence.ts';
import type { Looked } from './look.ts';
import type { Pulling } from './offer.ts';

export interface Transfer {
  readonly pulling: Pulling;
  readonly looked: Looked;
  readonly offer: Offer;
  readonly proof: Proof;
  readonly transaction: HeldTransaction;
}

export interface Meter {
  add(bytes: number): void;
  end(): void;
}

/** A part's bytes in order, as they come; `finished` after the last of them has been taken. */
export interface Incoming extends AsyncDisposable {
  chunks(): AsyncIterable<Buffer>;
  /** @throws E_CHECKSUM_MISMATCH, E_HTTP_BODY */
  finished(): Promise<{ digest: Digest; size: number; file?: string | undefined }>;
  /** What came is of no more use. */
  discard(): Promise<void>;
}

/** `passing`: the chunks are read as they come, and the file is not wanted. */
export async function openPart(
  { pulling, looked, proof }: Transfer,
  part: Part,
  { meter, passing }: { meter: Meter; passing: boolean },
): Promise<Incoming> {
  const { context, store } = pulling;
  const wanted = proof.digestOf(part) ?? part.sha256;
  if (part.from.type !== 'http') return localPart(part, { wanted, meter, signal: context.signal });
  const { urls, client } = part.from;
  const download = await startDownload(client ?? looked.client, {
    urls: [...urls],
    directory: downloadsDirectory(store.root),
    key: downloadKey(urls[0]!),
    // A signature over the part is held against the file.
    passing: passing && proof.evidenceOf(part)?.verifyFile === undefined,
    ...(part.size === undefined ? {} : { size: part.size }),
    ...(wanted === undefined ? {} : { digest: wanted }),
    signal: context.signal,
    events: context.events,
  });
  return {
    async *chunks() {
      for await (const chunk of download.chunks()) {
        try {
          meter.add(chunk.length);
        } catch (error) {
          // More than the store may take: what came of it will not be continued.
          await download.discard();
          throw error;
        }
        yield chunk;
      }
    },
    async finished() {
      const { file, bytes, sha256 } = await download.finished;
      return { file, size: bytes, digest: sha256 };
    },
    discard: () => download.discard(),
    [Symbol.asyncDispose]: () => download[Symbol.asyncDispose](),
  };
}

function localPart(
  part: Part,
  { wanted, meter, signal }: { wanted: Digest | undefined; meter: Meter; signal: AbortSignal },
): Incoming {
  const hasher = sha256Stream();
  let size = 0;
  const source = ownBytes(part, signal);
  return {
    async *chunks() {
      for await (const chunk of source) {
        hasher.update(chunk);
        size += chunk.length;
        meter.add(chunk.length);
        yield chunk;
      }
    },
    async finished() {
      const digest = hasher.digest('hex');
      if (wanted !== undefined && digest !== wanted)
        throw new CellarError('E_CHECKSUM_MISMATCH', {
          details: { source: part.name, found: digest, wanted },
        });
      return { digest, size };
    },
    discard: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Of a part that lies on this machine. */
async function* ownBytes({ from }: Part, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (from.type === 'bytes') yield from.bytes;
  if (from.type === 'file') yield* fileChunks(from.path, { ...from, signal });
}

/**
 * A signature made over the part itself, checked now that it is whole. The bytes that are checked are read again, so
 * they are held to the digest of those that were taken. @throws E_SIGNATURE_*, E_SOURCE_CHANGED
 */
export async function provenAfter(
  { pulling, proof }: Transfer,
  part: Part,
  taken: { incoming: Incoming; digest: Digest; file?: string | undefined },
): Promise<void> {
  const verify = proof.evidenceOf(part)?.verifyFile;
  if (verify === undefined) return;
  const hasher = sha256Stream();
  try {
    const { signal } = pulling.context;
    const bytes = taken.file === undefined ? ownBytes(part, signal) : fileChunks(taken.file, { signal });
    await verify(hashing(bytes, hasher));
    if (hasher.digest('hex') !== taken.digest)
      throw new CellarError('E_SOURCE_CHANGED', { details: { path: part.name } });
  } catch (error) {
    await taken.incoming.discard();
    throw error;
  }
}

async function* hashing(
  chunks: AsyncIterable<Buffer>,
  hasher: ReturnType<typeof sha256Stream>,
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hasher.update(chunk);
    yield chunk;
  }
}
