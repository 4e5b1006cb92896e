/** `tar:PATH`: the tree as an archive, packed as the suffix says. */
import { CellarError } from '../../core/errors.ts';
import { compress, type PackedFormat } from '../../tree/compress/compress.ts';
import { artifactTarget } from './artifact.ts';
import { writeChunks } from '../write-chunks.ts';

export const tarTarget = artifactTarget({
  kind: 'tar',
  async write({ tree, file, path }, bench) {
    const packing = packingOf(path);
    const plain = bench.tar(tree);
    await writeChunks(
      file,
      packing === undefined ? plain : compress(plain, packing, { signal: bench.signal }),
    );
  },
});

/** @throws E_TARGET_INVALID */
function packingOf(path: string): PackedFormat | undefined {
  if (/\.(?:tar\.gz|tgz)$/.test(path)) return 'gzip';
  if (/\.(?:tar\.xz|txz)$/.test(path)) return 'xz';
  if (/\.(?:tar\.zst|tzst)$/.test(path)) return 'zstd';
  if (!/\.tar\.[a-z0-9]+$/.test(path)) return undefined;
  throw new CellarError('E_TARGET_INVALID', {
    details: { target: `tar:${path}`, problem: 'no packing has this suffix; .gz, .xz and .zst do' },
  });
}
