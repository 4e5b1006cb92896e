/** A manifest at rest: packed with zstd, in one frame whose header tells how long the text is. */
import {
  constants,
  createZstdCompress,
  zstdCompress,
  zstdDecompressSync,
  type ZstdCompress,
} from 'node:zlib';
import { promisify } from 'node:util';

/** Level 3 everywhere: a manifest is a few per cent of its content's size, and is read at every checkout that is not a mount. */
const params = { [constants.ZSTD_c_compressionLevel]: 3, [constants.ZSTD_c_checksumFlag]: 1 };

/** Takes the `length` bytes of a manifest, gives the packed form. */
export function manifestPacker(length: number): ZstdCompress {
  return createZstdCompress({ params, pledgedSrcSize: length });
}

/** The packed form of a manifest that is all in memory, made on another thread. */
export async function packManifest(text: readonly Buffer[]): Promise<Buffer> {
  const whole = Buffer.concat(text);
  // With room for all of it: Node comes back to this thread whenever what is packed is full.
  return await promisify(zstdCompress)(whole, {
    ...{ params, pledgedSrcSize: whole.length },
    chunkSize: Math.max(1024, whole.length),
  });
}

/** Longest manifest that is read: a Buffer holds no more. */
const longestText = 4 * 2 ** 30 - 1;

/** The text of a packed manifest. Its digest is for the caller to check. @throws what zlib does */
export function unpackManifest(packed: Buffer): Buffer {
  const length = statedLength(packed);
  return zstdDecompressSync(packed, {
    params: { [constants.ZSTD_d_windowLogMax]: 31 },
    maxOutputLength: longestText,
    // Into one buffer: pieces put together afterwards take the memory twice. With no byte to spare another would be begun.
    ...(length === undefined ? {} : { chunkSize: length + 64 }),
  });
}

/**
 * What the header says, where that is believable: of a damaged one memory could not be had. Text does not shrink to
 * less than a 4,096th but for repetitions that no tree has. Source: RFC 8878, 3.1.1.1.
 */
function statedLength(packed: Buffer): number | undefined {
  if (packed.length < 18) return undefined;
  const descriptor = packed[4]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const at = 5 + Number(!isSingleSegment) + [0, 1, 2, 4][descriptor & 3]!;
  const sizes = [
    () => (isSingleSegment ? packed[at]! : undefined),
    () => packed.readUInt16LE(at) + 256,
    () => packed.readUInt32LE(at),
    () => Number(packed.readBigUInt64LE(at)),
  ];
  const length = sizes[descriptor >> 6]!();
  return length === undefined || length > Math.min(longestText - 64, packed.length * 4096)
    ? undefined
    : length;
}
