/** The parts of an offer on their way into a transaction. Bytes are hashed as they come and checked before they count. */
import { createReadStream } from 'node:fs';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { mapInOrder } from '../../core/parallel.ts';
import type { ImageRecord } from '../../core/record.ts';
import { startDownload } from '../../net/download.ts';
import type { Offer, Part } from '../../source/port.ts';
import { nameTree } from '../../store/describe-tree.ts';
import { isDamaged } from '../../store/damaged.ts';
import { objectSize } from '../../store/objects.ts';
import { downloadKey, downloadsDirectory } from '../../store/single-flight.ts';
import type { NewBlobs, NewTree, Transaction } from '../../store/transaction.ts';
import type { Proof } from './evidence.ts';
import type { Looked } from './look.ts';
import type { Pulling } from './offer.ts';
import { treeFrom } from './tree.ts';

export interface Transfer {
  readonly pulling: Pulling;
  readonly looked: Looked;
  readonly offer: Offer;
  readonly proof: Proof;
  readonly transaction: Transaction;
}

export interface ArrivedOffer {
  readonly content: NewTree | NewBlobs;
  readonly contentDigest: Digest;
  readonly attachments?: NonNullable<ImageRecord['attachments']>;
  /** What is known better now that the bytes are here. */
  readonly proof: Pick<Proof, 'expected' | 'signer'>;
}

/** @throws what sources, verification and archives do; nothing is published by this */
export async function transferOffer(transfer: Transfer): Promise<ArrivedOffer> {
  const { offer } = transfer;
  const content = offer.parts.find(({ role }) => role === 'content');
  if (content === undefined) throw new Error('an offer without content');
  const attachments: Record<string, Digest> = {};
  const meter = startMeter(transfer);
  for (const part of offer.parts.filter(({ role }) => role === 'attachment'))
    attachments[part.name] = (await storePart(transfer, part, meter)).digest;
  if (offer.kind === 'tree') {
    const { entries, besides, digest, signer } = await treeFrom(transfer, content, meter);
    meter.end();
    return {
      content: { entries },
      contentDigest: transfer.pulling.options.locked === undefined ? '' : nameTree(entries).tree,
      ...named({ ...besides, ...attachments }),
      proof: {
        ...(digest === undefined ? {} : { expected: digest }),
        ...(signer === undefined ? {} : { signer }),
      },
    };
  }
  const blobs = offer.parts.filter(({ role }) => role === 'blob');
  const stored = await mapInOrder(blobs, concurrency(transfer), (part) => storePart(transfer, part, meter));
  const main = await storePart(transfer, content, meter);
  meter.end();
  const kind = offer.kind;
  const bytes = stored.reduce((sum, { size }) => sum + size, kind === 'file' ? main.size : 0);
  return {
    content: {
      ...{ kind, content: main.digest, files: kind === 'file' ? 1 : stored.length, bytes },
      objects: [...new Set([main.digest, ...stored.map(({ digest }) => digest)])].sort(),
    },
    contentDigest: main.digest,
    ...named(attachments),
    proof: { expected: main.digest, ...(main.signer === undefined ? {} : { signer: main.signer }) },
  };
}

function named(attachments: Record<string, Digest>): Pick<ArrivedOffer, 'attachments'> {
  return Object.keys(attachments).length === 0 ? {} : { attachments };
}

export interface Meter {
  add(bytes: number): void;
  end(): void;
}

/** Bytes read from a file at a time. */
const readSize = 1 << 20;

/** One progress bar for all parts of an offer. */
function startMeter({ pulling, offer }: Transfer): Meter {
  const { events } = pulling.context;
  const sizes = offer.parts.map(({ size }) => size);
  const total = sizes.some((size) => size === undefined)
    ? {}
    : { total: sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0) };
  events({ type: 'step', step: 'pull', label: `pulling ${pulling.reference}`, unit: 'bytes', ...total });
  let done = 0;
  return {
    add(bytes) {
      done += bytes;
      pulling.tally.transferred += bytes;
      events({ type: 'progress', step: 'pull', done });
    },
    end: () => events({ type: 'step-end', step: 'pull' }),
  };
}

/** A part's bytes in order, as they come; `finished` after the last of them has been taken. */
export interface Incoming extends AsyncDisposable {
  chunks(): AsyncIterable<Buffer>;
  /** @throws E_CHECKSUM_MISMATCH, E_HTTP_BODY */
  finished(): Promise<{ digest: Digest; size: number; file?: string }>;
  /** What came is of no more use. */
  discard(): Promise<void>;
}

export async function openPart(
  { pulling, looked, proof }: Transfer,
  part: Part,
  meter: Meter,
): Promise<Incoming> {
  const { context, store } = pulling;
  const wanted = proof.digestOf(part) ?? part.sha256;
  if (part.from.type !== 'http') return localPart(part, wanted, meter);
  const { urls, client } = part.from;
  const download = await startDownload(client ?? looked.client, {
    urls: [...urls],
    directory: downloadsDirectory(store.root),
    key: downloadKey(urls[0]!),
    ...(part.size === undefined ? {} : { size: part.size }),
    ...(wanted === undefined ? {} : { digest: wanted }),
    signal: context.signal,
    events: context.events,
  });
  return {
    async *chunks() {
      for await (const chunk of download.chunks()) {
        meter.add(chunk.length);
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

function localPart(part: Part, wanted: Digest | undefined, meter: Meter): Incoming {
  const hasher = sha256Stream();
  let size = 0;
  const source = ownBytes(part);
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
async function* ownBytes({ from }: Part): AsyncGenerator<Buffer> {
  if (from.type === 'bytes') yield from.bytes;
  else yield* fileChunks(from) as AsyncIterable<Buffer>;
}

function fileChunks(from: Part['from']): AsyncIterable<Buffer> {
  if (from.type !== 'file') return createReadStream('/dev/null');
  const { path, offset = 0, length } = from;
  const end = length === undefined ? {} : { end: offset + length - 1 };
  return length === 0
    ? createReadStream('/dev/null')
    : createReadStream(path, { start: offset, ...end, highWaterMark: readSize });
}

/** A part that becomes one object as it is. Skipped when the store has that object already. */
async function storePart(
  transfer: Transfer,
  part: Part,
  meter: Meter,
): Promise<{ digest: Digest; size: number; signer?: string }> {
  const { pulling, proof, transaction } = transfer;
  const wanted = proof.digestOf(part) ?? part.sha256;
  const size = wanted === undefined ? undefined : objectSize(pulling.store.root, wanted);
  const isKnown = size !== undefined && (part.size === undefined || size === part.size);
  // A refresh also serves to mend: then what lies there is not to be believed.
  if (
    wanted !== undefined &&
    isKnown &&
    pulling.options.refresh !== true &&
    !isDamaged(pulling.store, wanted)
  )
    return { digest: wanted, size };
  await using incoming = await openPart(transfer, part, meter);
  if (part.from.type !== 'http') {
    const digest = await transaction.adopt.stream(incoming.chunks());
    const finished = await incoming.finished();
    const signer = await provenAfter(transfer, part, { incoming, digest });
    return { digest, size: finished.size, ...(signer === undefined ? {} : { signer }) };
  }
  for await (const chunk of incoming.chunks()) void chunk;
  const finished = await incoming.finished();
  const signer = await provenAfter(transfer, part, { incoming, ...finished });
  transaction.adopt.file(finished.file!, finished.digest);
  await incoming.discard();
  return { digest: finished.digest, size: finished.size, ...(signer === undefined ? {} : { signer }) };
}

/**
 * A signature made over the part itself, checked now that it is whole. The bytes that are checked are read again, so
 * they are held to the digest of those that were taken. @throws E_SIGNATURE_*, E_SOURCE_CHANGED
 */
export async function provenAfter(
  { proof }: Transfer,
  part: Part,
  taken: { incoming: Incoming; digest: Digest; file?: string | undefined },
): Promise<string | undefined> {
  const verify = proof.evidenceOf(part)?.verifyFile;
  if (verify === undefined) return undefined;
  const hasher = sha256Stream();
  try {
    const bytes =
      taken.file === undefined ? ownBytes(part) : createReadStream(taken.file, { highWaterMark: readSize });
    const { fingerprint, user } = await verify(hashing(bytes, hasher));
    if (hasher.digest('hex') !== taken.digest)
      throw new CellarError('E_SOURCE_CHANGED', { details: { path: part.name } });
    return `${fingerprint} ${user}`.trim();
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

function concurrency({ pulling }: Transfer): number {
  return pulling.options.http?.concurrency ?? 4;
}
