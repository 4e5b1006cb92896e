/**
 * Reads any composefs-dump(5) text, canonical or not: what other tools wrote, with inline content, verity digests and
 * lines in any order that puts parents first. Images made of them are compared with those that these tools made.
 */
import type { ByteString } from '../../src/core/bytes.ts';
import type { Digest } from '../../src/core/digest.ts';
import { CellarError } from '../../src/core/errors.ts';
import { noXattrs, parentPath, typeFromMode, type EntryType, type Xattrs } from '../../src/tree/entry.ts';
import type { ImageEntry } from '../../src/tree/erofs/image-entry.ts';
import { unescape } from '../../src/tree/manifest/escape.ts';

const maxInline = 5000;
const missing = '';

interface Line {
  readonly number: number;
  readonly entry: ImageEntry;
}

/** The tree in canonical order, hard links resolved. @throws E_MANIFEST_INVALID with the line */
export function readDump(bytes: Uint8Array): ImageEntry[] {
  const lines = new Map<ByteString, Line>();
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const rows = text.split('\n');
  if (rows.at(-1) === '') rows.pop();
  for (const [index, row] of rows.entries()) {
    const number = index + 1;
    const entry = parseLine(row, number);
    checkPlace(lines, entry, number);
    lines.set(entry.path, { number, entry });
  }
  if (!lines.has('/')) throw invalid(1, 'there is no root directory');
  const entries = [...lines.values()].map((line) => resolve(lines, line));
  return entries.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function parseLine(row: string, number: number): ImageEntry {
  const [path, size, mode = '', links, uid, gid, rdev, mtime = '', payload, content, digest, ...xattrs] =
    row.split(' ');
  if (row.includes('\0')) throw invalid(number, 'it holds a zero byte');
  const link = mode.startsWith('@');
  const bits = octal(link ? mode.slice(1) : mode, number);
  const type = typeFromMode(bits);
  if (type === undefined) throw invalid(number, 'MODE has no file type');
  const base = { path: normalPath(text(path ?? '', number), number), type, mode: bits & 0o7777 };
  const target = optional(payload, number);
  if (link) {
    if (type === 'directory') throw invalid(number, 'a directory cannot be a hard link');
    if (target === undefined) throw invalid(number, 'a hard link names no path');
    return { ...base, ...nothing, hardlink: normalPath(target, number) };
  }
  const [seconds, nanoseconds] = mtime.split('.');
  const entry = {
    ...base,
    size: sizeOf(type, integer(size, number)),
    links: integer(links, number),
    uid: integer(uid, number),
    gid: integer(gid, number),
    rdev: type === 'char' || type === 'block' ? integer(rdev, number) : 0,
    mtime: integer(seconds, number),
    mtimeNsec: integer(nanoseconds, number),
    xattrs: parseXattrs(xattrs, number),
  };
  if (type === 'symlink') {
    if (target === undefined || target === '') throw invalid(number, 'a symlink needs a target');
    return { ...entry, target, size: target.length };
  }
  if (type !== 'file') return entry;
  return { ...entry, payload: target ?? '', ...contentOf(entry.size, { content, digest, number }) };
}

const nothing = { uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };

/** What a dump says of a directory is a matter of the file system it was taken from. */
function sizeOf(type: EntryType, given: number): number {
  return type === 'directory' ? 0 : given;
}

interface ContentFields {
  readonly content: string | undefined;
  readonly digest: string | undefined;
  readonly number: number;
}

function contentOf(size: number, fields: ContentFields): { content?: ByteString; verity?: Digest } {
  const { number } = fields;
  const content = optional(fields.content, number);
  const verity = optional(fields.digest, number);
  if (verity !== undefined && !/^[0-9a-f]{64}$/.test(verity))
    throw invalid(number, 'DIGEST is not a SHA-256');
  if (content !== undefined && content.length !== size)
    throw invalid(number, 'CONTENT does not have the given size');
  if (size > maxInline && content !== undefined) throw invalid(number, 'CONTENT is too long');
  return {
    ...(content === undefined || content === '' ? {} : { content }),
    ...(verity === undefined ? {} : { verity }),
  };
}

function parseXattrs(fields: readonly string[], number: number): Xattrs {
  if (fields.length === 0 || (fields.length === 1 && fields[0] === '')) return noXattrs;
  if (fields.at(-1) === '') fields = fields.slice(0, -1);
  const values = new Map<ByteString, ByteString>();
  for (const field of fields) {
    const equal = field.indexOf('=');
    if (equal <= 0) throw invalid(number, 'an extended attribute has no name');
    values.set(text(field.slice(0, equal), number), text(field.slice(equal + 1), number));
  }
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** One slash between names, none at the end, no `.` or `..`. */
function normalPath(path: ByteString, number: number): ByteString {
  if (path === '/') return path;
  const names = path.replace(/^\/+/, '').split(/\/+/);
  if (path.includes('\0') || names.some((name) => name === '' || name === '.' || name === '..')) {
    throw invalid(number, 'the path is malformed');
  }
  return `/${names.join('/')}`;
}

function checkPlace(lines: ReadonlyMap<ByteString, Line>, entry: ImageEntry, number: number): void {
  const { path, type } = entry;
  if (lines.has(path)) throw invalid(number, 'the path is there twice');
  if (path === '/') {
    if (type !== 'directory') throw invalid(number, 'the root is not a directory');
    return;
  }
  const parent = lines.get(parentPath(path));
  if (parent?.entry.type !== 'directory') throw invalid(number, 'its parent is not a directory before it');
}

/** A hard link, perhaps by way of others, repeats the file it leads to. */
function resolve(lines: ReadonlyMap<ByteString, Line>, { entry, number }: Line): ImageEntry {
  if (entry.hardlink === undefined) return entry;
  let target: ImageEntry = entry;
  for (let steps = 0; target.hardlink !== undefined; steps++) {
    const next = lines.get(target.hardlink);
    if (next === undefined || next.entry === entry || steps > lines.size) {
      throw invalid(number, 'the hard link leads nowhere');
    }
    target = next.entry;
  }
  if (target.type === 'directory') throw invalid(number, 'a directory cannot be a hard link');
  return { ...target, path: entry.path, hardlink: target.path };
}

function text(field: string, number: number): ByteString {
  const bytes = unescape(field);
  if (bytes === undefined) throw invalid(number, 'an escape is malformed');
  return bytes;
}

function optional(field: string | undefined, number: number): ByteString | undefined {
  return field === undefined || field === '-' ? undefined : text(field, number);
}

function integer(field: string = missing, number: number): number {
  if (!/^-?[0-9]+$/.test(field)) throw invalid(number, `'${field}' is not a number`);
  return Number(field);
}

function octal(field: string, number: number): number {
  if (!/^[0-7]+$/.test(field)) throw invalid(number, 'MODE is not an octal number');
  return Number.parseInt(field, 8) & 0xffff;
}

function invalid(line: number, problem: string): CellarError {
  return new CellarError('E_MANIFEST_INVALID', { details: { line, problem } });
}
