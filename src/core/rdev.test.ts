import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isEncodable, major, makedev, minor } from './rdev.ts';

test('the 32-bit encoding is that of the kernel', () => {
  assert.equal(makedev(1, 3), 0x103);
  assert.equal(makedev(8, 256), 0x100800);
  assert.equal(makedev(0xfff, 0xfffff), 0xffffffff);
  for (const [high, low] of [
    [0, 0],
    [7, 255],
    [259, 65537],
    [4095, 1048575],
  ] as const) {
    assert.equal(major(makedev(high, low)), high);
    assert.equal(minor(makedev(high, low)), low);
  }
});

test('what does not fit is told apart', () => {
  assert.equal(isEncodable(4095, 1048575), true);
  assert.equal(isEncodable(4096, 0), false);
  assert.equal(isEncodable(0, 1048576), false);
  assert.equal(isEncodable(-1, 0), false);
});
