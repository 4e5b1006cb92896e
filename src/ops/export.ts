/**
 * `cellar export`: an image as a tar archive. The same tree gives the same bytes on every machine, so an export can
 * be checked against a published sum; every object is hashed while it is read.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import { writeBehind } from '../core/parallel.ts';
import { count } from '../core/quantity.ts';
import type { SigningKey } from '../source/verify/sign.ts';
import { chunksBehind, openEgress, type StreamChunk } from '../store/egress/stream.ts';
import { refuseDamaged } from '../store/damaged.ts';
import { leaseTree } from '../store/lease.ts';
import { resolveImage } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import { treeObjects } from '../store/trees.ts';
import { canCallZstd } from '../sys/libzstd.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { checkDestination, openOutput } from './export/output.ts';
import { resolveTree } from './resolve-tree.ts';
import { writeSums } from './export/sums.ts';
import { referenceOf } from './target-reference.ts';
import { tarStream } from './export/tar-stream.ts';

const exportFormats = [
  ...['tar', 'tar.gz', 'tar.xz', 'tar.zst'],
  ...['oci', 'oci-archive', 'docker-archive'],
] as const;
export type ExportFormat = (typeof exportFormats)[number];

export interface ExportOptions {
  readonly reference: string;
  /** Path of the archive, or `-` for standard output. */
  readonly destination: string;
  /** Else by the destination's suffix, else plain tar. */
  readonly format?: ExportFormat | undefined;
  /** Of the compressor; each has its own range and default (gzip 6, xz 6, zstd 3). */
  readonly level?: number | undefined;
  /** Write SHA256SUMS and `<base>.checksum` (SHA-1) beside the archive. */
  readonly sums?: boolean;
  /** Sign SHA256SUMS, which is written then, with this key of the store or this file with a secret key. */
  readonly sign?: string | undefined;
  readonly passphrase?: string | undefined;
  readonly platform?: string | undefined;
  readonly dryRun?: boolean;
}

export interface ExportResult {
  readonly reference: string;
  /** Of an image with a tree, and of any: its tree, OCI manifest or file. */
  readonly tree?: Digest;
  readonly content: Digest;
  readonly destination: string;
  readonly format: ExportFormat | 'file';
  /** Bytes written, packed. */
  readonly bytes: number;
  /** Of the archive; present with `sums`. */
  readonly sha256?: Digest;
  readonly sha1?: string;
  /** Fingerprint and user ID of the key that signed the sums. */
  readonly signer?: string;
  /** Sockets, which no tar format can hold. */
  readonly skipped: number;
  readonly dryRun: boolean;
  readonly elapsedMs: number;
}

export type Exported = Omit<ExportResult, 'dryRun' | 'elapsedMs'>;

/** @throws E_NOT_FOUND, E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_TREE_DAMAGED, E_NO_SPACE, E_USAGE, E_KEY_* */
export async function exportImage(context: Context, options: ExportOptions): Promise<ExportResult> {
  const started = performance.now();
  const written = await exported(context, options);
  return { ...written, dryRun: options.dryRun === true, elapsedMs: elapsedSince(started) };
}

async function exported(context: Context, options: ExportOptions): Promise<Exported> {
  const { destination } = options;
  const sums = options.sums === true || options.sign !== undefined;
  if (sums && destination === '-') {
    throw new CellarError('E_USAGE', {
      details: { problem: '--sums and --sign need a file to stand beside, not standard output' },
    });
  }
  using stack = new DisposableStack();
  const reference = await referenceOf(context, options.reference, stack);
  using store = openStore(context.storeRoot);
  const { platform } = options;
  const image = resolveImage(store, reference, { platform });
  const key = await signingKey(store, options);
  const signer = key === undefined ? {} : { signer: `${key.signer.fingerprint} ${key.signer.user}`.trim() };
  if (image.record.kind === 'file') {
    const { exportFile } = await import('./export/file.ts');
    const written = await exportFile(context, store, image, { ...options, sums, key });
    return { ...written, ...signer };
  }
  const format = options.format ?? formatOf(destination);
  if (options.level !== undefined && !(format in packers))
    throw new CellarError('E_USAGE', {
      details: { problem: `--level says how hard to compress, which ${format} is not` },
      hint: `packed are ${Object.keys(packers).join(', ')}`,
    });
  if (isImageFormat(format)) {
    const { exportOci } = await import('./export/oci.ts');
    const written = await exportOci(context, store, image, {
      ...options,
      ...{ format, sums, key, resolved: reference },
    });
    return { ...written, ...signer };
  }
  const packing = format === 'tar' ? undefined : await import('../tree/compress/compress.ts');
  const level = packing?.levelOf(packers[format as PackedFormat], options.level);
  checkDestination(destination);
  const { tree } = await resolveTree(context, store, reference, { platform });
  const result = {
    reference: options.reference,
    tree,
    content: image.record.content,
    destination,
    format,
    ...signer,
  };
  if (options.dryRun === true) return { ...result, bytes: 0, skipped: 0 };
  using _lease = await leaseTree(store, tree, context.signal);
  refuseDamaged(store, () => treeObjects(store, tree));
  const { signal, events } = context;
  // By the workers that read; a build of Node that hides the library packs in its own way, into other frames.
  const zstd = format === 'tar.zst' && canCallZstd() ? level : undefined;
  await using egress = openEgress(store, { signal, zstd });
  const archive = tarStream(store, egress, tree);
  events({
    type: 'step',
    step: 'export',
    label: `exporting ${options.reference}`,
    unit: 'bytes',
    total: archive.estimate,
  });
  await using output = openOutput(destination, {
    hash: sums,
    durable: sums,
    // Packed it is hardly less than a quarter.
    expected: packing === undefined ? archive.estimate : archive.estimate / 4,
    signal,
  });
  const progress = (done: number): void => events({ type: 'progress', step: 'export', done });
  const chunks = bytesOf(archive.chunks, progress);
  const isDone = packing === undefined || zstd !== undefined;
  const packed = isDone
    ? chunks
    : packing.compress(chunks, packers[format as PackedFormat], { level, signal });
  await writeBehind(packed, (chunk) => output.write(chunk), chunksBehind);
  const { bytes, sums: written } = output.finish();
  events({ type: 'step-end', step: 'export' });
  const skipped = archive.skipped();
  if (skipped > 0) {
    events({
      type: 'warning',
      code: 'W_SOCKETS',
      text: `${count(skipped, 'socket')} left out: tar has no form for them`,
    });
  }
  if (written !== undefined) await writeSums(destination, { ...written, key }, events);
  return { ...result, bytes, ...written, skipped };
}

/** A plain tar by such a name would mislead everybody who meets it. */
const otherFormats = /\.(?:7z|bz2|cpio|erofs|ext4|gz|iso|lz4|qcow2|rar|sqfs|squashfs|tbz2?|xz|zip|zst)$/;

/** @throws E_USAGE for a suffix we do not write */
function formatOf(destination: string): ExportFormat {
  if (/\.(?:tar\.gz|tgz)$/.test(destination)) return 'tar.gz';
  if (/\.(?:tar\.xz|txz)$/.test(destination)) return 'tar.xz';
  if (/\.(?:tar\.zst|tzst)$/.test(destination)) return 'tar.zst';
  if (destination.endsWith('.oci.tar')) return 'oci-archive';
  if (destination.endsWith('.docker.tar')) return 'docker-archive';
  if (/\.tar\.[a-z0-9]+$/.test(destination) || otherFormats.test(destination)) {
    throw new CellarError('E_USAGE', {
      details: { problem: `no format for '${destination}'` },
      hint: `choose one with --format: ${exportFormats.join(', ')}`,
    });
  }
  return 'tar';
}

export type ImageFormat = 'oci' | 'oci-archive' | 'docker-archive';

function isImageFormat(format: ExportFormat): format is ImageFormat {
  return format === 'oci' || format === 'oci-archive' || format === 'docker-archive';
}

/** Found and unlocked before the work begins. */
async function signingKey(
  { root }: Store,
  { sign, passphrase }: ExportOptions,
): Promise<SigningKey | undefined> {
  if (sign === undefined) return undefined;
  const { openSigningKey } = await import('../source/verify/sign.ts');
  return await openSigningKey(root, { key: sign, passphrase });
}

type PackedFormat = Exclude<ExportFormat, 'tar' | ImageFormat>;
const packers = { 'tar.gz': 'gzip', 'tar.xz': 'xz', 'tar.zst': 'zstd' } as const;

async function* bytesOf(
  chunks: AsyncIterable<StreamChunk>,
  tell: (done: number) => void,
): AsyncGenerator<Buffer> {
  let done = 0;
  for await (const { bytes, size } of chunks) {
    yield bytes;
    tell((done += size));
  }
}
