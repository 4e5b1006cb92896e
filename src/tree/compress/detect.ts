/** How a stream is packed, told by its first bytes and never by its name. */
export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lz4';

type Magic = readonly (number | readonly [least: number, most: number])[];

const bzip2: Magic = [0x42, 0x5a, 0x68, [0x31, 0x39]];

const magics: readonly (readonly [Compression, Magic])[] = [
  ['gzip', [0x1f, 0x8b, 8]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  // A zstd stream may begin with skippable frames.
  ['zstd', [[0x50, 0x5f], 0x2a, 0x4d, 0x18]],
  // Four letters could begin a file's name in a tar: a block (pi) or, of nothing, the end (its square root) must follow.
  ['bzip2', [...bzip2, 0x31, 0x41, 0x59, 0x26, 0x53, 0x59]],
  ['bzip2', [...bzip2, 0x17, 0x72, 0x45, 0x38, 0x50, 0x90]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/** Bytes that `detectCompression` looks at. */
export const magicBytes = 10;

/** `first`: `magicBytes` where there are as many; a shorter stream is packed if it could be the beginning of one. */
export function detectCompression(first: Uint8Array): Compression {
  if (first.length === 0) return 'none';
  const head = first.subarray(0, magicBytes);
  return magics.find(([, magic]) => head.every((byte, at) => matches(byte, magic[at])))?.[0] ?? 'none';
}

function matches(byte: number, wanted: Magic[number] | undefined): boolean {
  if (wanted === undefined) return true;
  return typeof wanted === 'number' ? byte === wanted : byte >= wanted[0] && byte <= wanted[1];
}
