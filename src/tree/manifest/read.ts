/**
 * Reads a manifest. What a tree is named by must have one spelling, so anything that writeManifest would not
 * have written is refused with its line: composefs dumps with inline content, verity digests or in another order, too.
 */
import type { ByteString } from '../../core/bytes.ts';
import { countLinks, findProblem } from '../canonical.ts';
import { noXattrs, typeFromMode, type Entry, type Xattrs } from '../entry.ts';
import { escapeXattr } from './escape.ts';
import {
  decode,
  invalid,
  skip,
  takeDash,
  takeDigest,
  takeNumber,
  takeOptional,
  takePath,
  type Cursor,
} from './scan.ts';

export interface ReadOptions {
  /**
   * Check what spans lines too: order, parents, link counts. Default true. `false` is for text that this
   * program wrote itself and whose digest was just verified.
   */
  readonly strict?: boolean;
}

interface Reading {
  readonly cursor: Cursor;
  /** NLINK of the last line. */
  links: number;
  /** Non-directories with more than one name, by their first path. */
  readonly firsts: Map<ByteString, Entry>;
  /** Most files of a tree carry one of a few sets. */
  readonly xattrs: Map<string, Xattrs>;
}

type Inode = Pick<Entry, 'type' | 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNsec' | 'size' | 'rdev'>;

interface Line {
  readonly inode: Inode;
  /** Digest of a file, target of a symlink, first path of a hard link. */
  readonly payload: string | undefined;
  readonly xattrs: Xattrs;
  readonly link: boolean;
}

const maxId = 0xffffffff;

/** The entries of a manifest, in canonical order. @throws E_MANIFEST_INVALID with the line */
export function readManifest(bytes: Buffer, options: ReadOptions = {}): Entry[] {
  const reading = begin(bytes);
  const entries: Entry[] = [];
  const links: number[] = [];
  while (reading.cursor.at < bytes.length) {
    entries.push(readLine(reading));
    links.push(reading.links);
  }
  if (options.strict !== false) checkLines(entries, links);
  return entries;
}

/** The same one after another and as with `strict: false`, so that the first are of use before the last are read. */
export function* manifestEntries(bytes: Buffer): Generator<Entry> {
  const reading = begin(bytes);
  while (reading.cursor.at < bytes.length) yield readLine(reading);
}

function begin(bytes: Buffer): Reading {
  return { cursor: { bytes, at: 0, end: 0, line: 0 }, links: 0, firsts: new Map(), xattrs: new Map() };
}

function readLine(reading: Reading): Entry {
  const { cursor } = reading;
  cursor.line++;
  cursor.end = cursor.bytes.indexOf(0x0a, cursor.at);
  if (cursor.end < 0) throw invalid(cursor, 'it does not end with a newline');
  const path = takePath(cursor);
  const size = takeNumber(cursor, 'SIZE');
  const link = skip(cursor, 0x40);
  const bits = takeNumber(cursor, 'MODE', 8);
  // Before any operator of 32 bits has cut off what is above them.
  const type = bits > 0o177777 ? undefined : typeFromMode(bits);
  if (type === undefined) throw invalid(cursor, 'MODE has no file type');
  const links = takeNumber(cursor, 'NLINK');
  const uid = takeNumber(cursor, 'UID');
  const gid = takeNumber(cursor, 'GID');
  const rdev = takeNumber(cursor, 'RDEV');
  if (uid > maxId || gid > maxId || rdev > maxId || links > maxId)
    throw invalid(cursor, 'a number is over 32 bits');
  const before = skip(cursor, 0x2d);
  const seconds = takeNumber(cursor, 'MTIME', 10, 0x2e);
  const mtimeNsec = takeNumber(cursor, 'MTIME');
  if (mtimeNsec > 999_999_999) throw invalid(cursor, 'MTIME has a second or more of nanoseconds');
  if (before && seconds === 0) throw invalid(cursor, 'MTIME is -0');
  const mtime = before ? -seconds : seconds;
  const inode = { type, mode: bits & 0o7777, uid, gid, mtime, mtimeNsec, size, rdev };
  const payload = takePayload(cursor, inode, link);
  takeDash(cursor, 'CONTENT');
  takeDash(cursor, 'DIGEST');
  const entry = makeEntry(reading, path, { inode, payload, xattrs: takeXattrs(reading), link });
  if (links > 1 && !link && type !== 'directory') reading.firsts.set(path, entry);
  reading.links = links;
  cursor.at = cursor.end + 1;
  return entry;
}

function takePayload(cursor: Cursor, { type, size }: Inode, link: boolean): string | undefined {
  if (link || type === 'symlink') return takeOptional(cursor);
  if (type === 'file' && size > 0) return takeDigest(cursor);
  if (takeOptional(cursor) !== undefined) throw invalid(cursor, `a ${type} without content has no payload`);
  return undefined;
}

function makeEntry(reading: Reading, path: ByteString, line: Line): Entry {
  const { inode, payload, xattrs, link } = line;
  const { type, mode, uid, gid, mtime, mtimeNsec, size, rdev } = inode;
  const entry = { path, type, mode, uid, gid, mtime, mtimeNsec, xattrs, size, rdev };
  if (link) return linkEntry(reading, entry, payload);
  if (payload === undefined) return entry;
  return type === 'symlink' ? { ...entry, target: payload } : { ...entry, digest: payload };
}

function linkEntry(reading: Reading, entry: Entry, payload: ByteString | undefined): Entry {
  const first = payload === undefined ? undefined : reading.firsts.get(payload);
  if (first === undefined) {
    throw invalid(reading.cursor, 'it is a hard link to a path that is missing, comes later or has one name');
  }
  const linked = { ...entry, hardlink: first.path };
  if (first.digest !== undefined) return { ...linked, digest: first.digest };
  return first.target === undefined ? linked : { ...linked, target: first.target };
}

function takeXattrs({ cursor, xattrs }: Reading): Xattrs {
  if (cursor.at === cursor.end) {
    if (cursor.bytes[cursor.end - 1] === 0x20) throw invalid(cursor, 'a space ends the line');
    return noXattrs;
  }
  const raw = cursor.bytes.toString('latin1', cursor.at, cursor.end);
  const known = xattrs.get(raw);
  if (known !== undefined) return known;
  const parsed = raw.split(' ').map((field): readonly [ByteString, ByteString] => {
    const equal = field.indexOf('=');
    if (equal <= 0) throw invalid(cursor, 'an extended attribute has no name');
    return [
      decode(cursor, field.slice(0, equal), 'the name of an extended attribute', escapeXattr),
      decode(cursor, field.slice(equal + 1), 'the value of an extended attribute', escapeXattr),
    ];
  });
  xattrs.set(raw, parsed);
  return parsed;
}

function checkLines(entries: readonly Entry[], links: readonly number[]): void {
  const found = findProblem(entries);
  if (found !== undefined) throw invalid({ line: found.index + 1 }, found.problem);
  const counts = countLinks(entries);
  const wrong = links.findIndex((count, index) => count !== counts[index]);
  if (wrong >= 0)
    throw invalid({ line: wrong + 1 }, `NLINK is ${links[wrong]} and should be ${counts[wrong]}`);
}
