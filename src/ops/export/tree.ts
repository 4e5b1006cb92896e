/** The export of an image that has a tree, as a tar archive: headers from the manifest, contents hashed while they are read. */
import { writeBehind } from '../../core/parallel.ts';
import { count } from '../../core/quantity.ts';
import { refuseDamaged } from '../../store/damaged.ts';
import { chunksBehind, openEgress, type StreamChunk } from '../../store/egress/stream.ts';
import { leaseTree } from '../../store/lease.ts';
import type { Image } from '../../store/resolve.ts';
import type { Store } from '../../store/store.ts';
import { treeObjects } from '../../store/trees.ts';
import { canCallZstd } from '../../sys/libzstd.ts';
import type { Context } from '../context.ts';
import { packers, type ArchiveFormat, type ChosenExport, type Exported } from '../export.ts';
import { resolveTree } from '../resolve-tree.ts';
import { checkDestination, openOutput } from './output.ts';
import { writeSums } from './sums.ts';
import { tarStream } from './tar-stream.ts';

/** @throws E_USAGE, E_DESTINATION_EXISTS, E_OBJECT_DAMAGED, E_OBJECT_MISSING, E_TREE_DAMAGED, E_NO_SPACE */
export async function exportTree(
  context: Context,
  store: Store,
  { record }: Image,
  options: ChosenExport & { readonly format: ArchiveFormat },
): Promise<Exported> {
  const { reference, resolved, destination, platform, format, key, dryRun } = options;
  const { signal, events } = context;
  const packing = format === 'tar' ? undefined : await packingAs(format, options.level);
  checkDestination(destination);
  const { tree } = await resolveTree(context, store, resolved, { platform });
  const result = { reference, tree, content: record.content, destination, format };
  if (dryRun === true) return { ...result, bytes: 0, skipped: 0 };
  using _lease = await leaseTree(store, tree, signal);
  refuseDamaged(store, () => treeObjects(store, tree));
  await using egress = openEgress(store, { signal, zstd: packing?.inWorkers });
  const archive = tarStream(store, egress, tree);
  const label = `exporting ${reference}`;
  events({ type: 'step', step: 'export', label, unit: 'bytes', total: archive.estimate });
  const hash = options.sums === true;
  // Packed it is hardly less than a quarter.
  const expected = packing === undefined ? archive.estimate : archive.estimate / 4;
  await using output = openOutput(destination, { hash, durable: hash, expected, signal });
  const chunks = bytesOf(archive.chunks, (done) => events({ type: 'progress', step: 'export', done }));
  const packed = packing === undefined ? chunks : packing.pack(chunks, signal);
  await writeBehind(packed, (chunk) => output.write(chunk), chunksBehind);
  const { bytes, sums } = output.finish();
  events({ type: 'step-end', step: 'export' });
  const skipped = archive.skipped();
  if (skipped > 0) {
    const text = `${count(skipped, 'socket')} left out: tar has no form for them`;
    events({ type: 'warning', code: 'W_SOCKETS', text });
  }
  if (sums !== undefined) await writeSums(destination, { ...sums, key }, events);
  return { ...result, bytes, ...sums, skipped };
}

interface Packing {
  /** Level of zstd, where the workers that read pack as well. */
  readonly inWorkers: number | undefined;
  pack(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal): AsyncIterable<Uint8Array>;
}

/** @throws E_USAGE for a level out of range */
async function packingAs(
  format: Exclude<ArchiveFormat, 'tar'>,
  wanted: number | undefined,
): Promise<Packing> {
  const { compress, levelOf } = await import('../../tree/compress/compress.ts');
  const level = levelOf(packers[format], wanted);
  // A build of Node that hides the library packs in its own way, into other frames.
  if (format === 'tar.zst' && canCallZstd()) return { inWorkers: level, pack: (chunks) => chunks };
  return {
    inWorkers: undefined,
    pack: (chunks, signal) => compress(chunks, packers[format], { level, signal }),
  };
}

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
