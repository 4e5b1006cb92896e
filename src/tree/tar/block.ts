/**
 * The fields of a 512-byte tar header block. Sources: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar
 * manual, "Basic Tar Format" and "Extensions" (base-256 numbers).
 */
import type { ByteString } from '../../core/bytes.ts';

export const blockSize = 512;

/** Largest size and time we hold exactly. */
const largest = Number.MAX_SAFE_INTEGER;

/** A field of a header block: where it starts and how long it is. */
export type Field = readonly [start: number, length: number];

export const field = {
  name: [0, 100],
  mode: [100, 8],
  uid: [108, 8],
  gid: [116, 8],
  size: [124, 12],
  mtime: [136, 12],
  checksum: [148, 8],
  linkName: [157, 100],
  devMajor: [329, 8],
  devMinor: [337, 8],
  prefix: [345, 155],
  /** The format of star(1) keeps times behind a shorter prefix. */
  starPrefix: [345, 131],
  /** Old GNU sparse files. */
  realSize: [483, 12],
} as const satisfies Record<string, Field>;

export const typeFlagAt = 156;

/** Bytes up to the next block boundary. */
export function paddingOf(size: number): number {
  return (blockSize - (size % blockSize)) % blockSize;
}

export function isZeroBlock(bytes: Uint8Array, at: number): boolean {
  for (let index = at; index < at + blockSize; index++) if (bytes[index] !== 0) return false;
  return true;
}

/** Old writers summed signed chars; both sums are accepted, as POSIX asks of readers. */
export function hasValidChecksum(bytes: Uint8Array, at: number): boolean {
  const wanted = readNumber(bytes, at, field.checksum);
  if (wanted === undefined) return false;
  let sum = 0;
  for (let index = at; index < at + blockSize; index++) sum += bytes[index]!;
  for (let index = at + 148; index < at + 156; index++) sum += 32 - bytes[index]!;
  return sum === wanted || signedSum(bytes, at, sum) === wanted;
}

function signedSum(bytes: Uint8Array, at: number, unsignedSum: number): number {
  let sum = unsignedSum;
  for (let index = at; index < at + blockSize; index++) {
    const inChecksum = index >= at + 148 && index < at + 156;
    if (bytes[index]! > 127 && !inChecksum) sum -= 256;
  }
  return sum;
}

/** Text up to the first NUL. */
export function readText(bytes: Buffer, at: number, [start, length]: Field): ByteString {
  const from = at + start;
  let end = from;
  while (end < from + length && bytes[end] !== 0) end++;
  return bytes.toString('latin1', from, end);
}

/**
 * Octal digits between blanks, ended by a blank or NUL or the field's end; or base-256 when the top bit is set. A
 * blank field is 0. A NUL before the digits is where the field before ran over, which GNU tar passes over.
 * `undefined` when it is neither, or too large to be held exactly.
 */
export function readNumber(bytes: Uint8Array, at: number, [start, length]: Field): number | undefined {
  const end = at + start + length;
  let index = at + start;
  if (bytes[index]! >= 0x80) return readBase256(bytes, index, end);
  if (bytes[index] === 0 && isOctalDigit(bytes[index + 1]!)) index++;
  while (index < end && bytes[index] === 32) index++;
  let value = 0;
  for (; index < end; index++) {
    const digit = bytes[index]! - 48;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  return index === end || bytes[index] === 0 || bytes[index] === 32 ? value : undefined;
}

function isOctalDigit(byte: number): boolean {
  return byte >= 48 && byte <= 55;
}

/** Two's complement, most significant byte first; the top bit only marks the form. */
function readBase256(bytes: Uint8Array, start: number, end: number): number | undefined {
  const isNegative = (bytes[start]! & 0x40) !== 0;
  let value = isNegative ? (bytes[start]! & 0x3f) - 0x40 : bytes[start]! & 0x3f;
  for (let index = start + 1; index < end; index++) {
    value = value * 256 + bytes[index]!;
    if (value > largest || value < -largest) return undefined;
  }
  return value;
}
