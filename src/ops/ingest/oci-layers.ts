/**
 * The layers of an OCI image become one tree, without a container engine: each layer is read as an archive of its
 * own and laid over those below it. What engines leave open or do differently is refused, not guessed: the table is
 * docs/reference/archives.md.
 */
import { statSync } from 'node:fs';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError, isCellarError } from '../../core/errors.ts';
import type { EventSink } from '../../core/events.ts';
import type { Content, IngestPool } from '../../store/ingest/pool.ts';
import type { Transaction } from '../../store/transaction.ts';
import { fileChunks } from '../../sys/file-chunks.ts';
import { impliedDirectory, type Entry } from '../../tree/entry.ts';
import { createLayering, type Layering } from '../../tree/merge.ts';
import type { MetadataCount } from '../../tree/tar/assemble.ts';
import { createLayerAssembler } from '../../tree/tar/layer.ts';
import type { TarLimits, TarMember } from '../../tree/tar/parse.ts';
import { tarProblems } from '../../tree/tar/problems.ts';
import { createAccountFiles, type AccountFiles } from './account-files.ts';
import { feedArchive } from './archive.ts';

export interface OciLayer {
  /** Of its blob: an object of the store. */
  readonly path: string;
  /** As the manifest has it. Only tells whether it is a file tree: packing is told by the content. */
  readonly mediaType: string;
  /** Of the blob. It is hashed while it is read, since a tree is made from it that is trusted later. */
  readonly digest?: Digest;
}

export interface UnpackOptions {
  /** Of the image, for messages. */
  readonly source: string;
  /** From the lowest up. */
  readonly layers: readonly OciLayer[];
  /** Over all layers together. */
  readonly limits: TarLimits;
  readonly signal: AbortSignal;
  readonly events: EventSink;
}

/**
 * The merged tree in canonical order, its content staged in `transaction`, which is for this alone: what no layer
 * above has left visible is taken out of it again. Nothing is published by this.
 * @throws E_ARCHIVE_*, E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_DECOMPRESSOR, E_TREE_INVALID, E_CANCELLED
 */
export async function unpackOci({ ingest }: Transaction, options: UnpackOptions): Promise<Entry[]> {
  const { source, layers, events } = options;
  for (const { mediaType } of layers) checkMediaType(source, mediaType);
  const total = layers.reduce((sum, layer) => sum + sizeOf(layer), 0);
  events({ type: 'step', step: 'unpack', label: `unpacking ${source}`, unit: 'bytes', total });
  const unpacking: Unpacking = {
    ingest,
    options,
    layering: createLayering({ whiteouts: true }),
    accounts: createAccountFiles(),
    contents: [],
    size: 0,
    files: 0,
    metadata: { bytes: 0, names: 0 },
  };
  let done = 0;
  for (const [index, layer] of layers.entries()) {
    if (options.signal.aborted) throw new CellarError('E_CANCELLED');
    await addLayer(unpacking, layer, {
      name: `layer ${index + 1} of ${layers.length} of ${source}`,
      progress: (read) => events({ type: 'progress', step: 'unpack', done: done + read }),
    });
    done += sizeOf(layer);
  }
  const merged = unpacking.layering.finish();
  const entries = merged.length === 0 ? [impliedDirectory('/')] : merged;
  discardHidden(unpacking, entries);
  events({ type: 'step-end', step: 'unpack' });
  return entries;
}

interface Unpacking {
  readonly ingest: IngestPool;
  readonly options: UnpackOptions;
  readonly layering: Layering;
  readonly accounts: AccountFiles;
  /** Everything that was given to `ingest`. */
  readonly contents: Content[];
  /** Logical bytes and members of the layers so far. */
  size: number;
  files: number;
  readonly metadata: MetadataCount;
}

async function addLayer(
  unpacking: Unpacking,
  layer: OciLayer,
  { name, progress }: { name: string; progress: (read: number) => void },
): Promise<void> {
  const { ingest, layering, accounts, contents, metadata } = unpacking;
  const { limits, signal } = unpacking.options;
  const assembler = createLayerAssembler({
    ...{ source: name, maxFiles: limits.maxFiles, metadata },
    below: layering.below,
  });
  const add = (member: TarMember, content?: Content): 'stored' | 'ignored' => {
    count(unpacking, member, name);
    const outcome = assembler.add(member, content);
    if (content !== undefined && outcome === 'stored') contents.push(content);
    return outcome;
  };
  try {
    await feedArchive(
      ingest,
      { assembler: { add }, accounts },
      {
        ...{ source: name, file: layer.path, sha256: layer.digest, limits, signal, progress },
        // `umoci insert` never ends its archives; the digest tells that nothing is missing.
        mayLackEnd: layer.digest !== undefined,
      },
    );
  } catch (error) {
    await refuseDamaged(layer, error, signal);
    throw asLayerProblem(error, name);
  }
  try {
    layering.add(assembler.finish(accounts.resolvers()));
  } catch (error) {
    throw asLayerProblem(error, name);
  }
}

/** Bounds hold for the image: many layers of one small archive are a bomb too. */
function count(unpacking: Unpacking, member: TarMember, name: string): void {
  const { maxSize, maxFiles } = unpacking.options.limits;
  unpacking.size += member.size;
  unpacking.files++;
  if (unpacking.files > maxFiles) throw tarProblems(name).limit(`${maxFiles} entries`);
  if (unpacking.size > maxSize) throw tarProblems(name).limit(`${maxSize} bytes of content`);
}

/** A blob was right when it was stored: what is wrong with its bytes now is not the image's fault. */
async function refuseDamaged({ path, digest }: OciLayer, error: unknown, signal: AbortSignal): Promise<void> {
  if (digest === undefined || !isCellarError(error)) return;
  if (error.code !== 'E_CHECKSUM_MISMATCH' && !error.code.startsWith('E_ARCHIVE_')) return;
  const hasher = sha256Stream();
  for await (const chunk of fileChunks(path, { signal })) hasher.update(chunk);
  const found = hasher.digest('hex');
  if (found !== digest)
    throw new CellarError('E_OBJECT_DAMAGED', { details: { object: digest, found }, cause: error });
}

/** The registry's hints speak of an import, which has flags that unpacking has not. */
function asLayerProblem(error: unknown, source: string): unknown {
  if (!isCellarError(error)) return error;
  const hint = 'the image itself is in the store and whole, but no tree can be made of it';
  const { code, details } = error;
  if (code === 'E_TREE_INVALID')
    return new CellarError('E_ARCHIVE_UNSAFE', { details: { ...details, source }, hint, cause: error });
  return code.startsWith('E_ARCHIVE_') ? new CellarError(code, { details, hint, cause: error }) : error;
}

/** Every file of a layer has been staged when a later layer hides it; names of one content keep it. */
function discardHidden({ ingest, contents }: Unpacking, entries: readonly Entry[]): void {
  const visible = new Set(entries.map(({ digest }) => digest));
  ingest.discard(
    contents.flatMap(({ digest }) => (digest === undefined || visible.has(digest) ? [] : [digest])),
  );
}

const layerTypes =
  /^application\/vnd\.(?:oci\.image\.layer(?:\.nondistributable)?\.v1\.tar|docker\.image\.rootfs(?:\.foreign)?\.diff\.tar)(?:[.+](?:gzip|zstd))?$/;

/** Sources: OCI image-spec "Image Layer Filesystem Changeset", Docker image manifest version 2 schema 2. */
function checkMediaType(source: string, mediaType: string): void {
  if (layerTypes.test(mediaType)) return;
  const problem = mediaType.endsWith('+encrypted')
    ? 'a layer of it is encrypted'
    : `it is no image of a file tree: a layer of it is ${JSON.stringify(mediaType.slice(0, 200))}`;
  throw new CellarError('E_ARCHIVE_FORMAT', { details: { source, problem } });
}

function sizeOf({ path, digest }: OciLayer): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat !== undefined) return stat.size;
  throw new CellarError('E_OBJECT_MISSING', { details: { object: digest ?? path } });
}
