/**
 * Reads the fields of one manifest line straight from its bytes. A manifest may be 200 MB; no string is made
 * for what becomes a number, and what becomes a string is copied out, so that the text itself can go.
 */
import type { ByteString } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { escapeOptional, escapePath, unescape } from './escape.ts';

export interface Cursor {
  readonly bytes: Buffer;
  /** Next byte to read, and the newline that ends this line. */
  at: number;
  end: number;
  line: number;
}

/** Reused, so that a digest becomes one flat string. */
const digestBytes = Buffer.alloc(64);
const space = 0x20;
const zero = 0x30;
const backslash = 0x5c;

export function invalid(cursor: { readonly line: number }, problem: string): CellarError {
  return new CellarError('E_MANIFEST_INVALID', { details: { line: cursor.line, problem } });
}

/** Unsigned, without superfluous zeros, followed by the byte `stop`. */
export function takeNumber(cursor: Cursor, what: string, base: 8 | 10 = 10, stop: number = space): number {
  const { bytes, end } = cursor;
  const start = cursor.at;
  let value = 0;
  let at = start;
  for (; at < end; at++) {
    const digit = bytes[at]! - zero;
    if (digit < 0 || digit >= base) break;
    value = value * base + digit;
  }
  const wellFormed =
    at > start && (bytes[start] !== zero || at === start + 1) && value <= Number.MAX_SAFE_INTEGER;
  if (!wellFormed || at >= end || bytes[at] !== stop)
    throw invalid(cursor, `${what} is not a canonical number`);
  cursor.at = at + 1;
  return value;
}

/** True, and past it, when the next byte is `byte`. */
export function skip(cursor: Cursor, byte: number): boolean {
  if (cursor.bytes[cursor.at] !== byte) return false;
  cursor.at++;
  return true;
}

/** The single character `-`, then a space or the end of the line. */
export function takeDash(cursor: Cursor, what: string): void {
  const next = cursor.at + 1;
  if (cursor.bytes[cursor.at] !== 0x2d || (next !== cursor.end && cursor.bytes[next] !== space)) {
    throw invalid(cursor, `${what} is not '-'`);
  }
  cursor.at = next === cursor.end ? next : next + 1;
}

export function takePath(cursor: Cursor): ByteString {
  return takeText(cursor, 'the path', escapePath);
}

/** A payload; `undefined` for `-`. */
export function takeOptional(cursor: Cursor): ByteString | undefined {
  const { bytes, at } = cursor;
  if (bytes[at] === 0x2d && bytes[at + 1] === space) {
    cursor.at = at + 2;
    return undefined;
  }
  return takeText(cursor, 'the payload', escapeOptional);
}

/** The payload of a file with content, `ab/cdef…`, as its digest. */
export function takeDigest(cursor: Cursor): Digest {
  const { bytes, at } = cursor;
  const stop = at + 65;
  if (stop >= cursor.end || bytes[stop] !== space || bytes[at + 2] !== 0x2f) throw notAnObject(cursor);
  for (let from = at, to = 0; from < stop; from++) {
    if (from === at + 2) continue;
    const byte = bytes[from]!;
    if (!((byte >= 0x30 && byte <= 0x39) || (byte >= 0x61 && byte <= 0x66))) throw notAnObject(cursor);
    digestBytes[to++] = byte;
  }
  cursor.at = stop + 1;
  return digestBytes.toString('latin1', 0, 64);
}

/** Bytes of an escaped text that must be the one `escape` would write. */
export function decode(
  cursor: Cursor,
  raw: string,
  what: string,
  escape: (text: ByteString) => string,
): ByteString {
  const text = unescape(raw);
  if (text === undefined || escape(text) !== raw) throw invalid(cursor, `${what} is not escaped canonically`);
  return text;
}

function notAnObject(cursor: Cursor): CellarError {
  return invalid(cursor, 'the payload is not an object path');
}

function takeText(cursor: Cursor, what: string, escape: (text: ByteString) => string): ByteString {
  const { bytes, end } = cursor;
  const start = cursor.at;
  let plain = true;
  let at = start;
  for (; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === space) break;
    if (byte === backslash || byte < 0x21 || byte > 0x7e) plain = false;
  }
  if (at === start || at === end) throw invalid(cursor, `${what} is missing or the line ends after it`);
  cursor.at = at + 1;
  const raw = bytes.toString('latin1', start, at);
  return plain ? raw : decode(cursor, raw, what, escape);
}
