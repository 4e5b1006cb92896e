import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { manifestPacker, unpackManifest } from './pack.ts';

async function pack(text: Buffer): Promise<Buffer> {
  const packer = manifestPacker(text.length);
  packer.end(text);
  return await buffer(packer);
}

test('what is packed comes back, whatever its length', async () => {
  for (const length of [1, 255, 256, 300, 65_791, 65_792, 1 << 20]) {
    const text = Buffer.alloc(length, 'a line\n');
    assert.deepEqual(unpackManifest(await pack(text)), text, String(length));
  }
});

test('a frame that does not tell its length, and one that tells nonsense', async () => {
  const text = Buffer.from('text\n'.repeat(10_000));
  assert.deepEqual(unpackManifest(zstdCompressSync(text)), text);
  const packed = await pack(text);
  // Single segment or not, the length follows the descriptor or the window.
  packed.fill(0xff, 5, 10);
  assert.throws(() => unpackManifest(packed));
});

test('a manifest cut short', async () => {
  const packed = await pack(Buffer.from('text\n'.repeat(1000)));
  assert.throws(() => unpackManifest(packed.subarray(0, packed.length - 5)));
  assert.throws(() => unpackManifest(packed.subarray(0, 3)));
});
