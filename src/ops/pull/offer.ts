/** One offer of a source, for one platform: nothing to do, or evidence, room, transfer and the reference at last. */
import { isDeepStrictEqual } from 'node:util';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import type { ImageRecord } from '../../core/record.ts';
import type { Reference } from '../../core/reference.ts';
import type { Offer, Part } from '../../source/port.ts';
import { referToContent, type NewRecord, type Written } from '../../store/commit-rows.ts';
import { listImages, readRecord } from '../../store/resolve.ts';
import type { Store } from '../../store/store.ts';
import type { CommitResult } from '../../store/transaction.ts';
import type { HeldTransaction } from '../gc/bound.ts';
import type { Context } from '../context.ts';
import type { PulledImage, PullOptions } from '../pull.ts';
import type { Proof } from './evidence.ts';
import { isThere, knownOf, levelBefore, presentImage, seenImage, type Looked } from './look.ts';

export interface Pulling {
  readonly context: Context;
  readonly store: Store;
  readonly reference: Reference;
  /** Redacted: as it is recorded. */
  readonly source: string;
  readonly options: PullOptions;
  readonly tally: { newObjects: number; newBytes: number; transferred: number };
}

interface Present {
  readonly image: Digest;
  readonly record: ImageRecord;
}

export async function pullOffer(pulling: Pulling, looked: Looked, offer: Offer): Promise<PulledImage> {
  const { store, options, tally, context } = pulling;
  const present = presentVersion(pulling, offer);
  if (offer.unchanged === true) return await keep(pulling, looked, offer, present);
  // Most looks find nothing new, so what follows is loaded only now.
  const { gatherOfferEvidence } = await import('./evidence.ts');
  const proof = await gatherOfferEvidence(pulling, looked, offer, levelBefore(pulling, offer.platform));
  const stored = options.refresh === true ? undefined : findStored(store, offer, proof);
  const change = present === undefined ? 'new' : 'updated';
  if (options.dryRun === true)
    return {
      ...{ platform: offer.platform, kind: offer.kind, verified: proof.level, bytes: bytesOf(offer) },
      change: isForeseen(pulling, offer, present, stored) ? 'unchanged' : change,
    };
  if (stored !== undefined) {
    refuseUnlocked(pulling, offer, stored.content);
    const image = newRecord(pulling, offer, proof, stored);
    const { signal } = context;
    const written = await referToContent(store, { kind: offer.kind, digest: stored.content }, image, {
      signal,
    });
    if (written !== undefined)
      return described(written, written.image === present?.image ? 'unchanged' : change);
  }
  const [{ makeRoom }, { inTransaction }, { transferOffer }] = await Promise.all([
    import('./preflight.ts'),
    import('../gc/bound.ts'),
    import('./transfer.ts'),
  ]);
  await makeRoom(pulling, offer, { renews: present !== undefined });
  const transfer = async (transaction: HeldTransaction): Promise<CommitResult> => {
    const arrived = await transferOffer({ pulling, looked, offer, proof, transaction });
    refuseUnlocked(pulling, offer, arrived.contentDigest);
    const image = newRecord(pulling, offer, { ...proof, ...arrived.proof }, arrived);
    return await transaction.commit({ ...image, ...arrived.content });
  };
  const written = await inTransaction(context, store, transfer, {
    limit: options.maxStoreSize,
    except: options.spare,
  });
  tally.newObjects += written.newObjects;
  tally.newBytes += written.newBytes;
  return described(written, written.image === present?.image ? 'unchanged' : change);
}

/** Would a pull leave the reference where it is? What is transferred again only to be proven is what was seen before. */
function isForeseen(
  pulling: Pulling,
  { platform, revision }: Offer,
  present: Present | undefined,
  stored: ImageRecord | undefined,
): boolean {
  if (present === undefined) return false;
  if (stored !== undefined) return stored.content === present.record.content;
  const seen = knownOf(pulling)?.seen.find((one) => one.platform === platform);
  return seen !== undefined && seen.revision === revision && seen.image === present.image;
}

/** Upstream has nothing new, so the image that an earlier look became is the one. */
async function keep(
  { store, reference, options, context }: Pulling,
  looked: Looked,
  offer: Offer,
  present: Present | undefined,
): Promise<PulledImage> {
  const image = seenImage(looked.seen, offer);
  if (image === undefined) throw new Error('a source called unchanged what nobody had seen');
  const record = readRecord(store, image);
  const { platform } = offer;
  const labels = { ...record.labels, ...options.labels };
  if (present?.image === image && isDeepStrictEqual(labels, record.labels))
    return described({ image, content: record.content, record }, 'unchanged');
  const change =
    present?.record.content === record.content ? 'unchanged' : present === undefined ? 'new' : 'updated';
  if (options.dryRun === true) return described({ image, content: record.content, record }, change);
  const written = await referToContent(
    store,
    { kind: record.kind, digest: record.content },
    {
      ...{ platform, labels, provenance: record.provenance, references: [reference], action: 'pull' },
      ...(record.attachments === undefined ? {} : { attachments: record.attachments }),
    },
    { signal: context.signal },
  );
  if (written === undefined)
    throw new CellarError('E_OBJECT_MISSING', { details: { object: record.content } });
  return described(written, change);
}

/** An image of the very bytes that are offered, read in the same way, whole, so that nothing has to come again. */
function findStored(store: Store, offer: Offer, proof: Proof): ImageRecord | undefined {
  const wanted = proof.expected;
  if (wanted === undefined) return undefined;
  // A signature over a part itself is proven by its bytes: by those of now, or by those of a time before. Sums that
  // nobody signed may name anything.
  const owes = offer.parts.some((part) => proof.evidenceOf(part)?.verifyFile !== undefined);
  const subpath = contentOf(offer)?.subpath;
  return listImages(store)
    .map(({ record }) => record)
    .find(
      (record) =>
        record.kind === offer.kind &&
        (!owes || isSignedBy(record, proof.signer)) &&
        (record.kind === 'tree'
          ? record.provenance.via === 'pull' &&
            record.provenance.sourceDigest === wanted &&
            record.provenance.subpath === subpath
          : record.content === wanted) &&
        offer.parts.every(
          (part) => part.role !== 'attachment' || record.attachments?.[part.name] === proof.digestOf(part),
        ) &&
        isThere(store, record),
    );
}

/** All of it by that key. Fingerprints are compared: names of a key change. */
function isSignedBy({ provenance: { verified, signer } }: ImageRecord, wanted: string | undefined): boolean {
  return verified === 'signature' && signer !== undefined && signer.split(' ')[0] === wanted?.split(' ')[0];
}

function contentOf({ parts }: Offer): Part | undefined {
  return parts.find(({ role }) => role === 'content');
}

function newRecord(
  { source, reference, options }: Pulling,
  offer: Offer,
  { level, signer, expected }: Pick<Proof, 'level' | 'signer' | 'expected'>,
  { attachments }: Pick<ImageRecord, 'attachments'>,
): NewRecord {
  const subpath = contentOf(offer)?.subpath;
  return {
    platform: offer.platform,
    labels: { ...offer.labels, ...options.labels },
    provenance: {
      via: 'pull',
      source,
      ...(expected === undefined ? {} : { sourceDigest: expected }),
      ...(subpath === undefined ? {} : { subpath }),
      verified: level,
      ...(signer === undefined ? {} : { signer }),
    },
    references: [reference],
    action: 'pull',
    ...(attachments === undefined ? {} : { attachments }),
  };
}

/** @throws E_LOCK_MISMATCH */
function refuseUnlocked({ reference, options }: Pulling, offer: Offer, found: Digest): void {
  const wanted = options.locked?.get(offer.platform);
  if (options.locked === undefined || wanted === found) return;
  throw new CellarError('E_LOCK_MISMATCH', {
    details: { reference, platform: offer.platform, found, wanted: wanted ?? 'nothing' },
  });
}

function presentVersion(pulling: Pulling, { platform }: Offer): Present | undefined {
  const image = presentImage(pulling, platform);
  return image === undefined ? undefined : { image, record: readRecord(pulling.store, image) };
}

function described({ image, content, record }: Written, change: PulledImage['change']): PulledImage {
  const { platform, kind, bytes, provenance } = record;
  const { verified, signer } = provenance;
  return {
    platform,
    kind,
    change,
    image,
    content,
    verified,
    bytes,
    ...(signer === undefined ? {} : { signer }),
  };
}

function bytesOf(offer: Offer): number {
  return offer.parts.reduce((sum, { size }) => sum + (size ?? 0), 0);
}
