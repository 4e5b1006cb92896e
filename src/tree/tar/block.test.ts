import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { field, hasValidChecksum, isZeroBlock, paddingOf, readNumber, readText } from './block.ts';
import { fitsUstar, largestOctal12, writeUstar, type UstarFields } from './ustar.ts';

const plain: UstarFields = {
  name: 'file',
  mode: 0o4755,
  uid: 1000,
  gid: 0o777_7777,
  size: largestOctal12,
  mtime: 1_700_000_000,
  typeFlag: '0',
  link: '',
  rdev: 0,
};

function block(fields: Partial<UstarFields> = {}): Buffer {
  const bytes = Buffer.alloc(512);
  writeUstar(bytes, 0, { ...plain, ...fields });
  return bytes;
}

function number(text: string | Buffer): number | undefined {
  const bytes = Buffer.alloc(12);
  bytes.set(Buffer.from(text));
  return readNumber(bytes, 0, [0, 12]);
}

test('what is written is read', () => {
  const bytes = block();
  assert.ok(hasValidChecksum(bytes, 0));
  assert.equal(readText(bytes, 0, field.name), 'file');
  const read = (['mode', 'uid', 'gid', 'size', 'mtime'] as const).map((name) =>
    readNumber(bytes, 0, field[name]),
  );
  assert.deepEqual(read, [plain.mode, plain.uid, plain.gid, plain.size, plain.mtime]);
});

test('octal numbers between blanks, ended by a blank, a NUL or the end of the field', () => {
  for (const text of ['  17', '17 ', '17\0garbage', '00000000017', '000000000017', '  17 x'])
    assert.equal(number(text), 15, text);
  // GNU tar and Go take what follows a NUL; blanks or anything else behind it is no number.
  for (const text of ['\x0017', '\x0000000000017']) assert.equal(number(text), 15, text);
  for (const text of ['', '            ', '0', '\0 17', '\0garbage']) assert.equal(number(text), 0, text);
  for (const text of ['18', 'x', '1x', '-1', '+1', '1.', '0x1']) assert.equal(number(text), undefined, text);
});

test('base-256 numbers of both signs, up to what a number holds exactly', () => {
  const base256 = (value: bigint): Buffer => {
    const bytes = Buffer.alloc(12);
    for (let at = 0; at < 12; at++) bytes[11 - at] = Number((value >> BigInt(8 * at)) & 0xffn);
    bytes[0]! |= 0x80;
    return bytes;
  };
  fc.assert(
    fc.property(fc.maxSafeInteger(), (value) => assert.equal(number(base256(BigInt(value))), value + 0)),
    { numRuns: 300 },
  );
  assert.equal(number(base256(2n ** 53n)), undefined);
  assert.equal(number(base256(-(2n ** 53n))), undefined);
});

test('one flipped bit breaks the checksum, wherever it is', () => {
  const bytes = block({ name: 'na\xefme', link: 'x'.repeat(100) });
  assert.ok(hasValidChecksum(bytes, 0));
  for (let bit = 0; bit < 512 * 8; bit++) {
    const at = bit >> 3;
    if (at >= 148 && at < 156) continue;
    bytes[at]! ^= 1 << (bit & 7);
    assert.equal(hasValidChecksum(bytes, 0), false, `bit ${bit}`);
    bytes[at]! ^= 1 << (bit & 7);
  }
});

test('sums of signed bytes are accepted too', () => {
  const bytes = block({ name: '\xff\x80' });
  const sum = Number.parseInt(bytes.toString('latin1', 148, 154), 8) - 512;
  bytes.write(sum.toString(8).padStart(6, '0'), 148);
  assert.ok(hasValidChecksum(bytes, 0));
});

test('long names are cut at a slash where that can be', () => {
  const name = `${'d'.repeat(155)}/${'n'.repeat(100)}`;
  assert.ok(fitsUstar(name));
  const bytes = block({ name });
  assert.equal(`${readText(bytes, 0, field.prefix)}/${readText(bytes, 0, field.name)}`, name);
  for (const other of [`${name}x`, `x${name}`, 'n'.repeat(101), `/${'n'.repeat(100)}`, `${'d'.repeat(100)}/`])
    assert.equal(fitsUstar(other), false, other);
});

test('padding and zero blocks', () => {
  assert.deepEqual([0, 1, 511, 512, 513].map(paddingOf), [0, 511, 1, 0, 511]);
  const bytes = Buffer.alloc(1024);
  assert.ok(isZeroBlock(bytes, 512));
  bytes[1023] = 1;
  assert.ok(isZeroBlock(bytes, 0));
  assert.equal(isZeroBlock(bytes, 512), false);
});
