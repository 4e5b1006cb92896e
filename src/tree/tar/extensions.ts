/**
 * What is said of a member before its header: PAX headers (`x`, Solaris `X`, global `g`) and the long names of GNU
 * tar (`L`, `K`). Several before one member add up, and the last word on a field counts; a PAX record wins over a
 * GNU long name, a local record over a global one. Global records end with their archive.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Extensions } from './member.ts';
import { emptyPax, readPax, type PaxRecords } from './pax.ts';

export interface ExtensionReader extends Extensions {
  /** The next `size` bytes are an extension of this type. Returns a limit that this exceeds. */
  begin(flag: number, size: number): string | undefined;
  /** Bytes of it as they come; with the last the whole in one piece. */
  take(bytes: Buffer, start: number, end: number, isLast: boolean): Piece | undefined;
  /** Returns a limit that this exceeds. @throws TarProblem */
  end(bytes: Buffer, start: number, end: number): string | undefined;
  /** The member they were for has come. */
  endMember(): void;
  endArchive(): void;
  /** Something was said of a member that has not come yet. */
  isOpen(): boolean;
}

export interface Piece {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/**
 * What is said of one member, and by all global headers in force: names and attributes fit many times over, and more is
 * an attack on memory, or on time, as every member after them pays for global records.
 */
const largest = 8 << 20;
const largestGlobal = 64 << 10;

const typeFlags = { x: 0x78, solaris: 0x58, global: 0x67, longName: 0x4c, longLink: 0x4b } as const;

export function isExtension(flag: number): boolean {
  return (
    flag === typeFlags.x ||
    flag === typeFlags.longName ||
    flag === typeFlags.longLink ||
    flag === typeFlags.global ||
    flag === typeFlags.solaris
  );
}

export function createExtensionReader(): ExtensionReader {
  let flag = 0;
  let gathered = Buffer.alloc(0);
  let filled = 0;
  let said = 0;
  const reader: ExtensionReader = {
    local: undefined,
    global: undefined,
    longName: undefined,
    longLink: undefined,
    begin(type, size) {
      flag = type;
      filled = 0;
      said += size;
      return said > largest ? `${largest} bytes of extended headers for one entry` : undefined;
    },
    take(bytes, start, end, isLast) {
      if (isLast && filled === 0) return { bytes, start, end };
      const total = filled + end - start;
      // Grown as bytes come: a header that only claims a size must not cost memory.
      if (total > gathered.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(total, gathered.length * 2));
        gathered.copy(larger, 0, 0, filled);
        gathered = larger;
      }
      bytes.copy(gathered, filled, start, end);
      filled = total;
      return isLast ? { bytes: gathered, start: 0, end: filled } : undefined;
    },
    end(bytes, start, end) {
      if (flag === typeFlags.longName) reader.longName = cString(bytes, start, end);
      else if (flag === typeFlags.longLink) reader.longLink = cString(bytes, start, end);
      else if (flag === typeFlags.global) {
        readPax(bytes, start, end, (reader.global ??= emptyPax()));
        reader.global.sparse = undefined; // a map cannot be that of more than one file
        return paxBytes(reader.global) > largestGlobal
          ? `${largestGlobal} bytes of global headers`
          : undefined;
      } else readPax(bytes, start, end, (reader.local ??= emptyPax()));
      return undefined;
    },
    endMember() {
      reader.local = undefined;
      reader.longName = undefined;
      reader.longLink = undefined;
      said = 0;
    },
    endArchive() {
      reader.global = undefined;
    },
    isOpen: () =>
      reader.local !== undefined || reader.longName !== undefined || reader.longLink !== undefined,
  };
  return reader;
}

/** What global records hold, for as long as they are in force. */
function paxBytes(records: PaxRecords): number {
  let bytes = 0;
  for (const value of Object.values(records)) {
    if (typeof value === 'string') bytes += value.length;
    else if (value instanceof Map) for (const [name, text] of value) bytes += name.length + text.length;
  }
  return bytes;
}

function cString(bytes: Buffer, start: number, end: number): ByteString {
  const nul = bytes.indexOf(0, start);
  return bytes.toString('latin1', start, nul < 0 || nul > end ? end : nul);
}
