/** Writing one ustar header block. What does not fit a field is 0 there: a PAX record says it for real. */
import type { ByteString } from '../../core/bytes.ts';
import { major, minor } from '../../core/rdev.ts';
import { blockSize, field, typeFlagAt, type Field } from './block.ts';

export interface UstarFields {
  readonly name: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  /** One character. */
  readonly typeFlag: string;
  readonly link: ByteString;
  readonly rdev: number;
}

export const largestOctal12 = 0o7777_7777_777;
export const largestOctal8 = 0o777_7777;
export const longestLink = 100;
const longestName = 100;
const longestPrefix = 155;

/** `into[at, at + 512)` must be zeros. */
export function writeUstar(into: Buffer, at: number, fields: UstarFields): void {
  const { name, link, uid, gid, size, mtime, rdev } = fields;
  const cut = name.length <= longestName ? 0 : (prefixLength(name) ?? 0);
  if (cut > 0) into.write(name.slice(0, cut), at + field.prefix[0], longestPrefix, 'latin1');
  into.write(cut > 0 ? name.slice(cut + 1) : name, at, longestName, 'latin1');
  octal(into, at, field.mode, fields.mode);
  octal(into, at, field.uid, uid <= largestOctal8 ? uid : 0);
  octal(into, at, field.gid, gid <= largestOctal8 ? gid : 0);
  octal(into, at, field.size, size <= largestOctal12 ? size : 0);
  octal(into, at, field.mtime, mtime >= 0 && mtime <= largestOctal12 ? mtime : 0);
  into[at + typeFlagAt] = fields.typeFlag.charCodeAt(0);
  if (link !== '') into.write(link, at + field.linkName[0], longestLink, 'latin1');
  into.write('ustar\x0000', at + 257, 'latin1');
  octal(into, at, field.devMajor, rdev === 0 ? 0 : major(rdev));
  octal(into, at, field.devMinor, rdev === 0 ? 0 : minor(rdev));
  let sum = 8 * 32;
  for (let index = at; index < at + blockSize; index++) sum += into[index]!;
  octal(into, at, [field.checksum[0], 7], sum);
  into[at + field.checksum[0] + 7] = 32;
}

/** A name over 100 bytes may be cut at a slash into a prefix of up to 155 and the rest; `undefined` where it cannot. */
function prefixLength(name: ByteString): number | undefined {
  const slash = name.indexOf('/', name.length - longestName - 1);
  return slash < 1 || slash > longestPrefix || slash === name.length - 1 ? undefined : slash;
}

export function fitsUstar(name: ByteString): boolean {
  return name.length <= longestName || prefixLength(name) !== undefined;
}

/** Digits to the end of the field but one, which stays NUL. */
function octal(into: Buffer, at: number, [start, length]: Field, value: number): void {
  let rest = value;
  for (let index = at + start + length - 2; index >= at + start; index--) {
    const higher = Math.floor(rest / 8);
    into[index] = 48 + rest - higher * 8;
    rest = higher;
  }
}
