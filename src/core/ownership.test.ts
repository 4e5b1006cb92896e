import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMode, parseOwner } from './ownership.ts';

test('owners: two numbers that the kernel takes for some', () => {
  assert.deepEqual(parseOwner('0:0'), { uid: 0, gid: 0 });
  assert.deepEqual(parseOwner('4294967294:100'), { uid: 4_294_967_294, gid: 100 });
  for (const text of ['', '0', '0:', ':0', 'root:root', '-1:0', '4294967295:0', '0:9999999999', '0:0:0'])
    assert.equal(parseOwner(text), undefined, text);
});

test('modes: three or four octal digits', () => {
  assert.equal(parseMode('755'), 0o755);
  assert.equal(parseMode('4755'), 0o4755);
  for (const text of ['', '75', '0o755', '789', '00755']) assert.equal(parseMode(text), undefined, text);
});
