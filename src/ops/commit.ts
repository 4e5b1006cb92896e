/**
 * `cellar commit`: a changed checkout, or any directory, as a new version of an image. What a checkout did not change
 * is taken over from its tree; see commit/source.ts for how that is known.
 */
import { realpathSync, statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { fromText, toBytes, toText, type ByteString } from '../core/bytes.ts';
import type { Digest } from '../core/digest.ts';
import { CellarError, isCellarError } from '../core/errors.ts';
import { hostPlatform, parsePlatform } from '../core/platform.ts';
import type { ImageRecord } from '../core/record.ts';
import { parseReference, type Reference } from '../core/reference.ts';
import { findCheckout, identityOf, putCheckout, type CheckoutRow } from '../store/checkouts.ts';
import type { NewRecord } from '../store/commit-rows.ts';
import type { DeploymentRow } from '../store/deployments.ts';
import { leaseTree } from '../store/lease.ts';
import { resolveImage, type Image } from '../store/resolve.ts';
import { openToFill } from '../store/dry-run.ts';
import { requireWritable, type Store } from '../store/store.ts';
import type { Preview, Transaction } from '../store/transaction.ts';
import { readTree } from '../store/trees.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';
import { inodeMoment } from '../sys/inode-clock.ts';
import type { Entry } from '../tree/entry.ts';
import { compileExcludes } from '../tree/exclude.ts';
import { inTransaction } from './gc/bound.ts';
import { readEntries, type ReadDirectory } from './commit/entries.ts';
import type { CommitWay } from './commit/source.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { deploymentAt, targetDirectory } from './target-directory.ts';
import { withoutRecord } from './deploy/tree-record.ts';

export interface CommitOptions {
  /** A directory, or a target with a tree in service, such as `machine:NAME`. */
  readonly directory: string;
  readonly reference: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Default: that of the image that was checked out, else this machine's. */
  readonly platform?: string | undefined;
  readonly exclude?: readonly string[];
  readonly dryRun?: boolean;
}

export interface CommitResult {
  readonly reference: string;
  /** Absent in a dry run. */
  readonly image?: Digest;
  readonly tree: Digest;
  readonly files: number;
  readonly bytes: number;
  readonly newObjects: number;
  readonly newBytes: number;
  /** Files whose content was read, and how the others were known to be unchanged. */
  readonly filesRead: number;
  readonly way: CommitWay;
  /** The image that was checked out. */
  readonly parent?: Digest;
  /** The reference names an image of this very tree already; nothing was written. */
  readonly unchanged: boolean;
  readonly dryRun: boolean;
  readonly elapsedMs: number;
}

/**
 * @throws E_SOURCE_NOT_FOUND, E_SOURCE_CHANGED, E_CHECKOUT_UNMOUNTED, E_NOT_ALLOWED, E_REFERENCE_INVALID, E_NO_SPACE,
 *   E_STORE_FULL, E_TREE_INVALID
 */
export async function commit(context: Context, options: CommitOptions): Promise<CommitResult> {
  const reference = parseReference(options.reference);
  return { reference, ...(await commitDirectory(context, { ...options, references: [reference] })) };
}

export interface DirectoryCommit extends Omit<CommitOptions, 'reference'> {
  /** Without any, the image lasts until the next gc that runs when `stack` has been disposed. */
  readonly references: readonly Reference[];
  readonly stack?: DisposableStack;
}

/** @throws as {@link commit} */
export async function commitDirectory(
  context: Context,
  options: DirectoryCommit,
): Promise<Omit<CommitResult, 'reference'>> {
  const started = performance.now();
  const exclude = compileExcludes(options.exclude ?? []);
  const wanted = options.platform === undefined ? undefined : parsePlatform(options.platform);
  const directory = realDirectory((await targetDirectory(options.directory)) ?? options.directory);
  using store = openToFill(context.storeRoot, options);
  requireWritable(store);
  const row = checkoutAt(store, directory);
  const deployed =
    row?.image === undefined ? await deploymentAt(store, options.directory, directory) : undefined;
  const parent = row?.image ?? deployed?.image;
  const before = parent === undefined ? undefined : store.rows.get<ImageRecord>('image', parent);
  const platform = wanted ?? before?.platform ?? hostPlatform;
  const image: NewRecord = {
    platform,
    labels: options.labels ?? {},
    provenance: provenance(directory, parent),
    attachments: takenOver(before),
    references: options.references,
    action: 'commit',
  };
  const { signal } = context;
  const dryRun = options.dryRun ?? false;
  const work = async (transaction: Transaction): Promise<{ written: Outcome; read: ReadDirectory }> => {
    const moment = row?.writable === true ? inodeMoment() : undefined;
    const read = await readEntries(context, transaction, { store, directory, row, exclude });
    const entries = withoutOwn(store, read.entries, row === undefined ? deployed : undefined);
    const keepLabels = options.labels === undefined;
    const written = await write(transaction, entries, { image, keepLabels, dryRun });
    if (written.image !== undefined) options.stack?.use(await leaseTree(store, written.tree, signal));
    // Nothing was left out, so a release loses nothing that was written before this moment.
    if (row !== undefined && moment !== undefined && !dryRun && (options.exclude ?? []).length === 0)
      putCheckout(store, { ...row, committed: moment });
    return { written, read };
  };
  const { written, read } = await inTransaction(context, store, work, { dryRun });
  return {
    ...written,
    filesRead: read.filesRead,
    way: read.way,
    ...(parent === undefined ? {} : { parent }),
    dryRun,
    elapsedMs: elapsedSince(started),
  };
}

/** Of a target that keeps its trees without checkouts: its record is no change there either. */
function withoutOwn(
  store: Store,
  entries: readonly Entry[],
  deployed: DeploymentRow | undefined,
): readonly Entry[] {
  const { recordPath, tree } = deployed ?? {};
  if (recordPath === undefined || tree === undefined) return entries;
  return withoutRecord(store, entries, { path: fromText(recordPath), original: readTree(store, tree) });
}

type Outcome = Pick<CommitResult, 'image' | 'unchanged' | keyof Preview>;

async function write(
  transaction: Transaction,
  entries: readonly Entry[],
  given: { image: NewRecord; keepLabels: boolean; dryRun: boolean },
): Promise<Outcome> {
  const { image, keepLabels, dryRun } = given;
  const present = presentImage(transaction.store, image);
  if (dryRun || present !== undefined) {
    const preview = await transaction.preview({ entries });
    const sameLabels = keepLabels || isDeepStrictEqual(present?.record.labels, image.labels);
    const sameBeside = isDeepStrictEqual(present?.record.attachments ?? {}, image.attachments ?? {});
    const unchanged = present?.record.content === preview.tree && sameLabels && sameBeside;
    if (dryRun) return { ...preview, unchanged };
    // An image that lost objects is mended by writing it again, so only one that needs nothing is left alone.
    if (unchanged && preview.newObjects === 0) return { ...preview, image: present.digest, unchanged };
  }
  const {
    image: digest,
    content: tree,
    record,
    newObjects,
    newBytes,
  } = await transaction.commit({ ...image, entries });
  const { files, bytes } = record;
  return { image: digest, tree, files, bytes, newObjects, newBytes, unchanged: false };
}

/** What the reference names now, on that very platform. */
function presentImage(store: Store, { references, platform }: NewRecord): Image | undefined {
  const [reference] = references;
  if (reference === undefined) return undefined;
  try {
    return resolveImage(store, reference, { platform });
  } catch (error) {
    if (isCellarError(error, 'E_NOT_FOUND')) return undefined;
    throw error;
  }
}

function provenance(directory: ByteString, parent: Digest | undefined): ImageRecord['provenance'] {
  return {
    ...{ via: 'commit', source: toText(directory), verified: 'no' },
    ...(parent === undefined ? {} : { parent }),
  };
}

/** What describes a system beside its tree, such as the metadata of LXC, describes its next version, too. */
function takenOver(parent: ImageRecord | undefined): NonNullable<ImageRecord['attachments']> {
  // Those of an OCI image tell of its manifest: signatures, for instance.
  return parent?.kind === 'tree' ? (parent.attachments ?? {}) : {};
}

/** The checkout that lies at `directory`, unless something else has taken its place. */
function checkoutAt(store: Store, directory: ByteString): CheckoutRow | undefined {
  const row = findCheckout(store, directory);
  if (row?.releasing === true) {
    const path = toText(directory);
    throw new CellarError('E_CHECKOUT_BUSY', {
      details: { path },
      hint: `it is being released; 'cellar release ${path}' completes that`,
    });
  }
  return row?.identity === undefined || row.identity === identityOf(directory) ? row : undefined;
}

function realDirectory(text: string): ByteString {
  try {
    const path = realpathSync(toBytes(fromText(text)), { encoding: 'latin1' });
    if (statSync(toBytes(path)).isDirectory()) return path;
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw toCellarError(error, { doing: 'committing', path: text });
    throw new CellarError('E_SOURCE_NOT_FOUND', { details: { source: text } });
  }
  throw new CellarError('E_USAGE', {
    details: { problem: `${text} is not a directory` },
    hint: `'cellar import ${text} REF' reads archives`,
  });
}
