import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { gather, inPieces, sampleBytes, skipWithout, unpackWith } from '../../../test/support/packers.ts';
import { compress, type PackedFormat } from './compress.ts';
import { decompress } from './decompress.ts';

const { signal } = new AbortController();
const formats: readonly PackedFormat[] = ['gzip', 'zstd', 'xz'];

function pack(content: Uint8Array, format: PackedFormat, options: { level?: number; pieces?: number } = {}) {
  return gather(compress(inPieces(content, options.pieces), format, { level: options.level, signal }));
}

/** Around the borders of blocks and frames. */
const lengths = [0, 1, 32767, 128 << 10, (128 << 10) + 1, 256 << 10, (256 << 10) + 1, 1_000_003];

for (const format of formats) {
  const skip = skipWithout(format);

  test(`${format}: the program unpacks it, and so do we`, { skip }, async () => {
    for (const length of lengths) {
      const content = sampleBytes(length);
      const packed = await pack(content, format);
      assert.ok(unpackWith(format, packed).equals(content), `${length} bytes, ${format}`);
      const own = await gather(decompress(inPieces(packed), { source: 'a', signal }));
      assert.ok(own.equals(content), `${length} bytes`);
    }
  });

  test(`${format}: all levels`, { skip }, async () => {
    const content = sampleBytes(40_000);
    const levels = { gzip: [1, 6, 9], zstd: [1, 3, 19], xz: [0, 6, 9] }[format];
    const sizes = [];
    for (const level of levels) {
      const packed = await pack(content, format, { level });
      assert.ok(unpackWith(format, packed).equals(content), `level ${level}`);
      sizes.push(packed.length);
    }
    assert.ok(
      sizes.at(-1)! <= sizes[0]!,
      `the last level packs no worse than the first: ${sizes.join(', ')}`,
    );
    for (const level of [-1, format === 'zstd' ? 20 : 10, 1.5, NaN]) {
      assert.throws(() => compress(inPieces(content), format, { level, signal }), { code: 'E_USAGE' });
    }
  });

  test(`${format}: the same bytes however the input is cut, and each time`, { skip }, async () => {
    const content = sampleBytes(700_000);
    const packed = await pack(content, format);
    for (const pieces of [Infinity, 512, 99_991, 128 << 10, 256 << 10])
      assert.ok((await pack(content, format, { pieces })).equals(packed), `in pieces of ${pieces}`);
  });

  test(`${format}: chunks may lie in memory that is used again`, { skip }, async () => {
    const content = sampleBytes(900_000);
    const memory = Buffer.alloc(100_000);
    async function* reusing(): AsyncGenerator<Buffer> {
      for (let at = 0; at < content.length; at += memory.length) {
        content.copy(memory, 0, at);
        yield memory;
        memory.fill(0);
      }
    }
    const packed = await gather(compress(reusing(), format, { signal }));
    assert.ok(packed.equals(await pack(content, format)));
  });
}

test('several zstd frames', { skip: skipWithout('zstd') }, async () => {
  const content = Buffer.concat([sampleBytes(5 << 20), sampleBytes(5 << 20), sampleBytes(7)]);
  const packed = await pack(content, 'zstd', { pieces: 1 << 20 });
  assert.ok(unpackWith('zstd', packed).equals(content));
  assert.ok((await pack(content, 'zstd', { pieces: 999_983 })).equals(packed));
});

test('blocks of gzip find what came before them', { skip: skipWithout('gzip') }, async () => {
  // 20 kB of noise over and over: only a window that reaches back over the borders packs it well everywhere.
  const noise = sampleBytes(24 << 10).subarray(4 << 10, 24 << 10);
  const content = Buffer.concat(Array.from({ length: 64 }, () => noise));
  const packed = await pack(content, 'gzip');
  assert.ok(packed.length < 2 * noise.length, `${packed.length} bytes for ${noise.length} bytes of noise`);
});

test('whatever the content, gzip and zstd give it back', async () => {
  const runs = fc.array(fc.tuple(fc.uint8Array({ maxLength: 60 }), fc.integer({ min: 1, max: 9000 })), {
    maxLength: 6,
  });
  const property = fc.asyncProperty(runs, fc.integer({ min: 100, max: 300_000 }), async (parts, pieces) => {
    const content = Buffer.concat(
      parts.flatMap(([bytes, times]) => Array.from({ length: times }, () => bytes)),
    );
    for (const format of ['gzip', 'zstd'] as const) {
      const packed = await pack(content, format, { pieces });
      const back = await gather(decompress(inPieces(packed, pieces), { source: 'a', signal }));
      assert.ok(back.equals(content));
    }
  });
  await fc.assert(property, { numRuns: 25 });
});
