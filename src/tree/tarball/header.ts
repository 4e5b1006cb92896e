/**
 * One 512-byte tar header block: fields as numbers and byte strings, checksum, dialect. Understands v7, POSIX ustar
 * and GNU headers. Sources: POSIX pax(1) "ustar Interchange Format", GNU tar manual "Basic Tar Format".
 */
import type { ByteString } from '../../core/bytes.ts';

export const blockBytes = 512;

export interface RawHeader {
  readonly name: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character; `\0` in old archives. */
  readonly typeflag: string;
  readonly linkname: ByteString;
  readonly major: number;
  readonly minor: number;
  readonly dialect: 'v7' | 'ustar' | 'gnu';
}

export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.equals(zeroBlock);
}

const zeroBlock = Buffer.alloc(blockBytes);

/** The sum of all bytes with the checksum field taken as spaces; old writers summed signed bytes. */
export function checksumMatches(block: Buffer): boolean {
  const stored = parseOctal(block, 148, 8);
  if (stored === undefined) return false;
  let unsigned = 8 * 0x20;
  for (let at = 0; at < 148; at++) unsigned += block[at]!;
  for (let at = 156; at < blockBytes; at++) unsigned += block[at]!;
  if (unsigned === stored) return true;
  let high = 0;
  for (let at = 0; at < blockBytes; at++) if ((at < 148 || at >= 156) && block[at]! > 127) high++;
  return unsigned - 256 * high === stored;
}

/** @throws Error naming the field that is no number; the caller adds where */
export function parseHeader(block: Buffer): RawHeader {
  const dialect = dialectOf(block);
  const name = text(block, 0, 100);
  const prefix = dialect === 'ustar' && block[345] !== 0 ? text(block, 345, 155) : '';
  const typeflag = String.fromCharCode(block[156]!);
  // Some writers leave anything in these fields for what is no device.
  const devices = dialect !== 'v7' && (typeflag === '3' || typeflag === '4');
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8, 'mode'),
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    typeflag,
    linkname: block[157] === 0 ? '' : text(block, 157, 100),
    major: devices ? number(block, 329, 8, 'devmajor') : 0,
    minor: devices ? number(block, 337, 8, 'devminor') : 0,
    dialect,
  };
}

/**
 * Octal text, or GNU's base-256 when the first byte is 0x80 (positive) or 0xff (negative).
 * @throws Error when it is neither, or beyond 2⁵³
 */
export function number(block: Buffer, at: number, length: number, field: string): number {
  const lead = block[at]!;
  const value =
    lead === 0x80 || lead === 0xff ? parseBase256(block, at, length) : parseOctal(block, at, length);
  if (value === undefined || !Number.isSafeInteger(value)) throw new Error(`its ${field} is not a number`);
  return value;
}

/** Leading blanks, digits, then blank or NUL to the end of the field; an empty field is 0. */
function parseOctal(block: Buffer, at: number, length: number): number | undefined {
  const end = at + length;
  while (at < end && block[at] === 0x20) at++;
  let value = 0;
  for (; at < end; at++) {
    const digit = block[at]! - 0x30;
    if (digit < 0 || digit > 7) break;
    value = value * 8 + digit;
  }
  return at === end || block[at] === 0x20 || block[at] === 0 ? value : undefined;
}

function parseBase256(block: Buffer, at: number, length: number): number {
  const bytes = block.subarray(at, at + length);
  let value = BigInt.asIntN(8, BigInt(bytes[0]! & 0x7f) | (bytes[0] === 0xff ? 0x80n : 0n));
  for (const byte of bytes.subarray(1)) value = (value << 8n) | BigInt(byte);
  return Number(value);
}

function text(block: Buffer, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return block.toString('latin1', at, end);
}

function dialectOf(block: Buffer): RawHeader['dialect'] {
  const magic = block.toString('latin1', 257, 265);
  if (magic === 'ustar  \0') return 'gnu';
  return magic.startsWith('ustar') ? 'ustar' : 'v7';
}
