/** Maps of sparse files in their four written forms, checked against the sizes they must add up to. */
import type { Segment } from '../../sys/sparse.ts';
import { blockSize, readNumber } from './block.ts';

/** A longer map is an attack on memory: 8 MiB of the densest form. */
export const mostSegments = Math.floor((8 << 20) / 24);

/** Offset and length alternating → data segments, empty ones dropped. A string tells what is wrong. */
export function checkSparseMap(map: readonly number[], size: number, stored: number): Segment[] | string {
  if (map.length % 2 !== 0) return 'the sparse map has an offset without a length';
  const segments: Segment[] = [];
  let end = 0;
  let sum = 0;
  for (let index = 0; index < map.length; index += 2) {
    const offset = map[index]!;
    const length = map[index + 1]!;
    if (offset < end) return 'segments of the sparse map overlap or go back';
    end = offset + length;
    if (end > size) return 'the sparse map goes past the end of the file';
    sum += length;
    if (length > 0) segments.push({ offset, length });
  }
  return sum === stored ? segments : 'the sparse map and the stored size do not agree';
}

/** Old GNU form: `slots` pairs of 12-byte numbers from `at`; a slot without a length ends the map. */
export function readGnuSlots(bytes: Uint8Array, at: number, slots: number, into: number[]): boolean {
  for (let slot = 0; slot < slots; slot++) {
    const start = at + slot * 24;
    if (bytes[start + 12] === 0) return true;
    const offset = readNumber(bytes, start, [0, 12]);
    const length = readNumber(bytes, start, [12, 12]);
    if (offset === undefined || length === undefined || offset < 0 || length < 0) return false;
    into.push(offset, length);
  }
  return true;
}

export interface MapReader {
  /** Reads on in `bytes[start, end)`; what is behind the map's last line is padding and is not looked at. */
  take(bytes: Uint8Array, start: number, end: number): void;
  isDone(): boolean;
  readonly map: readonly number[];
  /** Set when the text is no map. */
  problem(): string | undefined;
}

/** PAX form 1.0: decimal lines before the content (count, then offset and length of each), padded to a block. */
export function createMapReader(): MapReader {
  const map: number[] = [];
  let wanted = -1;
  let value = 0;
  let digits = 0;
  let wrong: string | undefined;
  const endLine = (): void => {
    if (digits === 0) wrong = 'the sparse map has an empty line';
    else if (wanted < 0) wanted = value * 2;
    else map.push(value);
    if (wanted > mostSegments * 2) wrong = 'the sparse map is too long';
    value = 0;
    digits = 0;
  };
  return {
    map,
    isDone: () => map.length === wanted,
    problem: () => wrong,
    take(bytes, start, end) {
      for (let at = start; at < end && map.length !== wanted && wrong === undefined; at++) {
        const digit = bytes[at]! - 48;
        if (digit === 10 - 48) endLine();
        else if (digit < 0 || digit > 9 || digits === 15) wrong = 'the sparse map is malformed';
        else {
          value = value * 10 + digit;
          digits++;
        }
      }
    },
  };
}

/** Slots in the header block and in each extension block of the old GNU form, and where they are. */
export const gnuSparse = {
  header: { at: 386, slots: 4, more: 482 },
  extension: { at: 0, slots: 21, more: blockSize - 8 },
} as const;
