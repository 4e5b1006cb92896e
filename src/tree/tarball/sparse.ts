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

/**
 * The map at the front of a format 1.0 member: decimal numbers, one a line, a count and then pairs, padded to a
 * block. `undefined` while more bytes are needed. @throws Error
 */
export function parseSparseMap(text: ByteString): { segments: Segment[]; bytes: number } | undefined {
  const first = text.indexOf('\n');
  if (first < 0) {
    if (text.length > 20) throw new Error('the sparse map has no count');
    return undefined;
  }
  const count = paxNumber(text.slice(0, first), 'sparse map');
  const numbers: number[] = [];
  let at = first + 1;
  while (numbers.length < count * 2) {
    const end = text.indexOf('\n', at);
    if (end < 0) return undefined;
    numbers.push(paxNumber(text.slice(at, end), 'sparse map'));
    at = end + 1;
  }
  return { segments: pairs(numbers), bytes: Math.ceil(at / 512) * 512 };
}

/** Segments in order, within the file, as long together as what is stored; empty ones are dropped. @throws Error */
export function checkSegments(segments: readonly Segment[], realSize: number, stored: number): Segment[] {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of segments) {
    if (offset < end) throw new Error('the sparse map goes back');
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
