/** `cpio:PATH`: the tree as an archive that the kernel unpacks as its initramfs, packed as the suffix says. */
import { constants, createZstdCompress, type ZstdCompress } from 'node:zlib';
import type { Digest } from '../../core/digest.ts';
import { drained } from '../../sys/drained.ts';
import { compress } from '../../tree/compress/compress.ts';
import { filterThrough } from '../../tree/compress/programs.ts';
import { cpioLosses, cpioParts } from '../../tree/cpio/write.ts';
import { artifactTarget, warnOfLoss, type Artifact } from './artifact.ts';
import { writeChunks } from '../write-chunks.ts';
import type { Workbench } from '../port.ts';

export const cpioTarget = artifactTarget({
  kind: 'cpio',
  write: writeCpio,
});

/** The same bytes for the same tree and suffix. */
export async function writeCpio(
  { tree, file, path }: Pick<Artifact, 'tree' | 'file' | 'path'>,
  bench: Workbench,
): Promise<void> {
  const { signal } = bench;
  const plain = archive(tree, bench);
  if (path.endsWith('.gz')) await writeChunks(file, compress(plain, 'gzip', { signal }));
  else if (path.endsWith('.xz')) await writeChunks(file, xzStream(plain, signal));
  else if (path.endsWith('.zst')) await writeChunks(file, zstdFrame(plain));
  else await writeChunks(file, plain);
}

async function* archive(tree: Digest, bench: Workbench): AsyncGenerator<Buffer> {
  const entries = bench.entries(tree);
  const { xattrs, times } = cpioLosses(entries);
  warnOfLoss(bench, 'cpio', { xattrs, 'times before 1970 or after 2106': times });
  const total = entries.reduce((sum, { hardlink, size }) => sum + (hardlink === undefined ? size : 0), 0);
  const step = 'pack';
  bench.events({ type: 'step', step, label: 'packing the tree', unit: 'bytes', total });
  let done = 0;
  for (const part of cpioParts(entries)) {
    if (Buffer.isBuffer(part)) {
      yield part;
      continue;
    }
    yield* bench.object(part.object);
    bench.events({ type: 'progress', step, done: (done += part.size) });
  }
  bench.events({ type: 'step-end', step });
}

/** The kernel knows no check but CRC32. */
function xzStream(input: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  return filterThrough(input, {
    ...{ program: 'xz', package: 'xz-utils', doing: 'packing', source: 'the archive', signal },
    args: ['-T1', '-6', '--check=crc32', '-c'],
  });
}

/** One frame: the kernel takes each further one for the beginning of another archive. */
async function* zstdFrame(input: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const packer = createZstdCompress({
    params: { [constants.ZSTD_c_compressionLevel]: 9, [constants.ZSTD_c_checksumFlag]: 1 },
  });
  void feed(packer, input);
  yield* packer as AsyncIterable<Buffer>;
}

async function feed(packer: ZstdCompress, input: AsyncIterable<Buffer>): Promise<void> {
  try {
    for await (const chunk of input) {
      // It keeps chunks for a while, and the memory of these is used again.
      if (!packer.write(Buffer.from(chunk))) await drained(packer);
      if (packer.destroyed) return;
    }
    // Ended while it still has output, it is told so twice and adds an empty frame.
    packer.flush(constants.ZSTD_e_flush, () => packer.end());
  } catch (error) {
    packer.destroy(error as Error);
  }
}
