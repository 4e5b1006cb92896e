/** How a stream is packed, told by its first bytes and never by its name. */
export type Compression = 'none' | 'gzip' | 'xz' | 'zstd' | 'bzip2' | 'lz4';

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['lz4', [0x04, 0x22, 0x4d, 0x18]],
];

/** `first`: at least 6 bytes where there are as many. */
export function detectCompression(first: Uint8Array): Compression {
  const known = magics.find(([, magic]) => magic.every((byte, at) => first[at] === byte));
  if (known !== undefined) return known[0];
  // A zstd stream may begin with skippable frames: 0x184D2A50 … 5F, little-endian.
  const isSkippable =
    (first[0]! & 0xf0) === 0x50 && first[1] === 0x2a && first[2] === 0x4d && first[3] === 0x18;
  return isSkippable ? 'zstd' : 'none';
}
