/**
 * `cellar export`: an image as a tar archive. The same tree gives the same bytes on every machine, so an export can
 * be checked against a published sum; every object is hashed while it is read.
 */
import type { Digest } from '../core/digest.ts';
import { CellarError } from '../core/errors.ts';
import type { SigningKey } from '../source/verify/sign.ts';
import { resolveImage, type Image } from '../store/resolve.ts';
import { openStore, type Store } from '../store/store.ts';
import type { Context } from './context.ts';
import { elapsedSince } from './elapsed.ts';
import { referenceOf } from './target-reference.ts';

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
  const sums = options.sums === true || options.sign !== undefined;
  if (sums && options.destination === '-') {
    throw new CellarError('E_USAGE', {
      details: { problem: '--sums and --sign need a file to stand beside, not standard output' },
    });
  }
  using stack = new DisposableStack();
  const resolved = await referenceOf(context, options.reference, stack);
  using store = openStore(context.storeRoot);
  const image = resolveImage(store, resolved, { platform: options.platform });
  const key = await signingKey(store, options);
  const written = await exportImageAs(context, store, image, { ...options, sums, key, resolved });
  return key === undefined
    ? written
    : { ...written, signer: `${key.signer.fingerprint} ${key.signer.user}`.trim() };
}

/** An export whose image and key have been found. */
export interface ChosenExport extends ExportOptions {
  /** What `reference` comes to: of a target, an image of what is in service there. */
  readonly resolved: string;
  readonly key: SigningKey | undefined;
}

/** A file is written as it is; anything else in the format that was asked for. The code for each is loaded for it alone. */
async function exportImageAs(
  context: Context,
  store: Store,
  image: Image,
  options: ChosenExport,
): Promise<Exported> {
  if (image.record.kind === 'file') {
    refusePacking(options);
    const { exportFile } = await import('./export/file.ts');
    return await exportFile(context, store, image, options);
  }
  const format = options.format ?? formatOf(options.destination);
  if (options.level !== undefined && !(format in packers))
    throw new CellarError('E_USAGE', {
      details: { problem: `--level says how hard to compress, which ${format} is not` },
      hint: `packed are ${Object.keys(packers).join(', ')}`,
    });
  if (isImageFormat(format)) {
    const { exportOci } = await import('./export/oci.ts');
    return await exportOci(context, store, image, { ...options, format });
  }
  const { exportTree } = await import('./export/tree.ts');
  return await exportTree(context, store, image, { ...options, format });
}

function refusePacking({ reference, format, level }: ExportOptions): void {
  if (format === undefined && level === undefined) return;
  throw new CellarError('E_USAGE', {
    details: { problem: `${reference} is one file, which is written as it is` },
    hint: `leave out ${format === undefined ? '--level' : '--format'}`,
  });
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
export type ArchiveFormat = Exclude<ExportFormat, ImageFormat>;

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

/** How each archive that is packed is. */
export const packers = { 'tar.gz': 'gzip', 'tar.xz': 'xz', 'tar.zst': 'zstd' } as const;
