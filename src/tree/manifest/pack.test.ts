import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { manifestPacker, packManifest, unpackManifest } from './pack.ts';

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

test('packed in one piece or as it comes, a frame tells how long its text is', async () => {
  for (const length of [0, 1, 300, 70_000, 3 << 20]) {
    const text = randomBytes(length);
    for (const packed of [
      await pack(text),
      await packManifest([text.subarray(0, 200), text.subarray(200)]),
    ]) {
      assert.deepEqual(unpackManifest(packed), text, String(length));
      // Frame_Content_Size_flag or Single_Segment_flag. Source: RFC 8878, 3.1.1.1.1.
      assert.notEqual(packed[4]! & 0b1110_0000, 0, String(length));
    }
  }
});
