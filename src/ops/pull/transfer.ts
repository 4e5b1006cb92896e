/** The parts of an offer on their way into a transaction. Bytes are hashed as they come and checked before they count. */
import type { Digest } from '../../core/digest.ts';
import { mapInOrder } from '../../core/parallel.ts';
import type { ImageRecord } from '../../core/record.ts';
import type { Part } from '../../source/port.ts';
import { nameTree } from '../../store/describe-tree.ts';
import { isDamaged } from '../../store/damaged.ts';
import { objectSize } from '../../store/objects.ts';
import type { NewBlobs, NewTree } from '../../store/transaction.ts';
import type { Proof } from './evidence.ts';
import { openPart, provenAfter, type Meter, type Transfer } from './parts.ts';
import { treeFrom } from './tree.ts';

export interface ArrivedOffer {
  readonly content: NewTree | NewBlobs;
  readonly contentDigest: Digest;
  readonly attachments?: NonNullable<ImageRecord['attachments']>;
  /** What is known better now that the bytes are here. */
  readonly proof: Pick<Proof, 'expected'>;
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
    const { entries, besides, digest } = await treeFrom(transfer, content, meter);
    meter.end();
    return {
      content: { entries },
      contentDigest: transfer.pulling.options.locked === undefined ? '' : nameTree(entries).tree,
      ...named({ ...besides, ...attachments }),
      proof: {
        ...(digest === undefined ? {} : { expected: digest }),
      },
    };
  }
  const blobs = offer.parts.filter(({ role }) => role === 'blob');
  const { concurrency } = transfer.looked.client;
  const stored = await mapInOrder(blobs, concurrency, (part) => storePart(transfer, part, meter));
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
    proof: { expected: main.digest },
  };
}

function named(attachments: Record<string, Digest>): Pick<ArrivedOffer, 'attachments'> {
  return Object.keys(attachments).length === 0 ? {} : { attachments };
}

/** One progress bar for all parts of an offer. */
function startMeter({ pulling, offer, transaction }: Transfer): Meter {
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
      transaction.arrived(bytes);
      pulling.tally.transferred += bytes;
      events({ type: 'progress', step: 'pull', done });
    },
    end: () => events({ type: 'step-end', step: 'pull' }),
  };
}

/**
 * A part that becomes one object as it is. Skipped when the store has that object already, unless a signature has yet to
 * be held against its bytes: what named the object may be sums that nobody signed.
 */
async function storePart(
  transfer: Transfer,
  part: Part,
  meter: Meter,
): Promise<{ digest: Digest; size: number }> {
  const { pulling, proof, transaction } = transfer;
  const wanted = proof.digestOf(part) ?? part.sha256;
  const size = wanted === undefined ? undefined : objectSize(pulling.store.root, wanted);
  const isKnown = size !== undefined && (part.size === undefined || size === part.size);
  // A refresh also serves to mend: then what lies there is not to be believed.
  if (
    wanted !== undefined &&
    isKnown &&
    proof.evidenceOf(part)?.verifyFile === undefined &&
    pulling.options.refresh !== true &&
    !isDamaged(pulling.store, wanted)
  )
    return { digest: wanted, size };
  await using incoming = await openPart(transfer, part, { meter, passing: false });
  if (part.from.type !== 'http') {
    const digest = await transaction.adopt.stream(incoming.chunks());
    const finished = await incoming.finished();
    await provenAfter(transfer, part, { incoming, digest });
    return { digest, size: finished.size };
  }
  for await (const chunk of incoming.chunks()) void chunk;
  const finished = await incoming.finished();
  await provenAfter(transfer, part, { incoming, ...finished });
  transaction.adopt.file(finished.file!, finished.digest);
  await incoming.discard();
  return { digest: finished.digest, size: finished.size };
}
