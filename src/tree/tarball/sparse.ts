/**
 * Sparse files in tar: old GNU headers with extension blocks, and the pax formats 0.0, 0.1 and 1.0. All become the
 * same list of data segments. Source: GNU tar manual, "Storing Sparse Files".
 */
import type { ByteString } from '../../core/bytes.ts';
import { number } from './header.ts';
import { paxNumber, type PaxRecords } from './pax.ts';

export interface Segment {
  readonly offset: number;
  readonly length: number;
}

/** Pairs in a header (from byte 386, 4 of them) or extension block (from byte 0, 21); an empty pair ends them. */
export function oldGnuSegments(block: Buffer, kind: 'header' | 'extension'): Segment[] {
  const [start, count] = kind === 'header' ? [386, 4] : [0, 21];
  const segments: Segment[] = [];
  for (let at = start; at < start + count * 24; at += 24) {
    if (block[at] === 0 && block[at + 12] === 0) break;
    segments.push({
      offset: number(block, at, 12, 'sparse map'),
      length: number(block, at + 12, 12, 'sparse map'),
    });
  }
  return segments;
}

export function oldGnuContinues(block: Buffer, kind: 'header' | 'extension'): boolean {
  return block[kind === 'header' ? 482 : 504] !== 0;
}

export function oldGnuRealSize(header: Buffer): number {
  return number(header, 483, 12, 'real size');
}

export interface PaxSparse {
  readonly realSize: number;
  /** Absent in format 1.0, where the map precedes the data. */
  readonly segments?: Segment[];
}

/** What the records say of a sparse file; `undefined` when it is none. @throws Error */
export function paxSparse({ values, sparse }: PaxRecords): PaxSparse | undefined {
  const size = values.get('GNU.sparse.realsize') ?? values.get('GNU.sparse.size');
  if (values.get('GNU.sparse.major') === '1' && values.get('GNU.sparse.minor') === '0') {
    return { realSize: paxNumber(size ?? '', 'GNU.sparse.realsize') };
  }
  const map = values.get('GNU.sparse.map');
  if (map === undefined && sparse.length === 0) return undefined;
  const numbers =
    map === undefined
      ? sparse
      : map === ''
        ? []
        : map.split(',').map((part) => paxNumber(part, 'GNU.sparse.map'));
  return { realSize: paxNumber(size ?? '', 'GNU.sparse.size'), segments: pairs(numbers) };
}

export interface SparseMapReader {
  /** Bytes taken so far. */
  readonly bytes: number;
  /** The segments once the block that ends the map is in; `undefined` until then. @throws Error */
  block(text: ByteString): Segment[] | undefined;
}

/** The map at the front of a format 1.0 member: decimal numbers, one a line: a count, then pairs; padded to a block. */
export function createSparseMapReader(): SparseMapReader {
  let bytes = 0;
  let rest = '';
  let count: number | undefined;
  const numbers: number[] = [];
  return {
    get bytes() {
      return bytes;
    },
    block(text) {
      bytes += text.length;
      const lines = (rest + text).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (count !== undefined && numbers.length === count * 2) break;
        const value = paxNumber(line, 'a line of the sparse map');
        if (count === undefined) count = value;
        else numbers.push(value);
      }
      if (count !== undefined && numbers.length === count * 2) return pairs(numbers);
      if (rest.length > 20) throw new Error('a line of the sparse map is not a number');
      return undefined;
    },
  };
}

/** Segments in order, within the file, as long together as what is stored; empty ones are dropped. @throws Error */
export function checkSegments(segments: readonly Segment[], realSize: number, stored: number): Segment[] {
  let end = 0;
  let sum = 0;
  if (realSize < 0) throw new Error('its real size is negative');
  for (const { offset, length } of segments) {
    if (offset < end || length < 0) throw new Error('the sparse map goes back');
    end = offset + length;
    sum += length;
    if (end > realSize) throw new Error('the sparse map exceeds the file');
  }
  if (sum !== stored) throw new Error('the sparse map does not fit the stored size');
  return segments.filter(({ length }) => length > 0);
}

function pairs(numbers: readonly number[]): Segment[] {
  if (numbers.length % 2 !== 0) throw new Error('the sparse map has an odd number');
  return Array.from({ length: numbers.length / 2 }, (_, at) => ({
    offset: numbers[at * 2]!,
    length: numbers[at * 2 + 1]!,
  }));
}
