import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packers, packWith, skipWithout } from '../../../test/support/packers.ts';
import { detectCompression } from './detect.ts';

for (const packer of packers) {
  test(`${packer}, of something and of nothing`, { skip: skipWithout(packer) }, () => {
    for (const content of ['some text', '']) {
      const packed = packWith(packer, Buffer.from(content));
      assert.equal(detectCompression(packed), packer);
      for (let length = 1; length < 10; length++)
        assert.equal(detectCompression(packed.subarray(0, length)), packer, `${length} bytes`);
    }
  });
}

test('all sixteen skippable frames begin a zstd stream', () => {
  for (let low = 0x50; low <= 0x5f; low++)
    assert.equal(detectCompression(Uint8Array.of(low, 0x2a, 0x4d, 0x18, 0, 0, 0, 0)), 'zstd');
  assert.equal(detectCompression(Uint8Array.of(0x60, 0x2a, 0x4d, 0x18)), 'none');
});

test('a file name that begins a tar is no packing', () => {
  for (const name of ['BZh9\0\0\0\0\0\0', 'BZh91AY&S\0', 'BZhello.txt', './\0\0\0\0\0\0\0\0', '(\xb5/ssssss'])
    assert.equal(detectCompression(Buffer.from(name, 'latin1')), 'none');
  assert.equal(detectCompression(Buffer.from('BZh0\x31AY&SY', 'latin1')), 'none', 'bzip2 has blocks 1 to 9');
  assert.equal(detectCompression(new Uint8Array(0)), 'none');
});
