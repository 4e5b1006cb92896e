/**
 * The files of an image that lies on this machine: of a directory, or of a tar file, whose members are found by one
 * pass over its headers and then read where they are. A packed archive is unpacked first, into a file that has no
 * name any more, so that nothing of it stays behind whatever becomes of this process.
 */
import {
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fromText, type ByteString } from '../core/bytes.ts';
import { CellarError } from '../core/errors.ts';
import { isErrno, toCellarError } from '../sys/errno.ts';
import { decompress } from '../tree/compress/decompress.ts';
import { detectCompression } from '../tree/compress/detect.ts';
import { cleanName, nameProblem } from '../tree/tar/member-name.ts';
import { createTarParser, type TarMember } from '../tree/tar/parse.ts';
import { gone } from './location.ts';

/** Bytes of a file on this machine. */
export interface FileRange {
  readonly path: string;
  readonly offset: number;
  readonly length: number;
}

export interface ImageFiles extends Disposable {
  /** Links are followed within the archive. */
  find(name: string): FileRange | undefined;
}

export interface OpenOptions {
  /** As the user wrote it, for messages. */
  readonly location: string;
  readonly signal: AbortSignal;
}

/** @throws E_SOURCE_GONE */
export function openDirectory(directory: string, { location }: OpenOptions): ImageFiles {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw gone(location, 'there is no such directory');
  return {
    find(name) {
      const path = join(directory, name);
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat?.isFile() === true ? { path, offset: 0, length: stat.size } : undefined;
    },
    [Symbol.dispose]() {},
  };
}

/** @throws E_SOURCE_GONE, E_ARCHIVE_*, E_DECOMPRESSOR, E_NO_SPACE, E_IO, E_CANCELLED */
export async function openArchive(file: string, options: OpenOptions): Promise<ImageFiles> {
  using stack = new DisposableStack();
  const packed = stack.adopt(openFile(file, options.location), closeSync);
  const isPacked = detectCompression(readAt(packed, 0, Buffer.allocUnsafe(512))) !== 'none';
  const fd = isPacked ? stack.adopt(await unpack(file, options), closeSync) : packed;
  const path = isPacked ? `/proc/self/fd/${fd}` : file;
  const members = await indexArchive(fd, options);
  const owned = stack.move();
  return {
    find: (name) => findMember(members, cleanName(fromText(name)), path),
    [Symbol.dispose]: () => owned.dispose(),
  };
}

/** All of a range; `undefined` when there are more bytes than `limit`. */
export function readRange({ path, offset, length }: FileRange, limit: number): Buffer | undefined {
  if (length > limit) return undefined;
  const fd = openSync(path, 'r');
  try {
    return readAt(fd, offset, Buffer.allocUnsafeSlow(length));
  } finally {
    closeSync(fd);
  }
}

/** An archive of an image has a file for each blob, and old ones three for each layer. */
const mostMembers = 200_000;
const mostBytes = 2 ** 50;
const mostLinks = 40;
/** Content is sought over, so that only headers are read. */
const windowBytes = 64 << 10;

interface Member {
  readonly offset: number;
  readonly length: number;
  /** Where a link leads. */
  readonly target?: ByteString;
}

async function indexArchive(
  fd: number,
  { location: source, signal }: OpenOptions,
): Promise<ReadonlyMap<ByteString, Member>> {
  const members = new Map<ByteString, Member>();
  const parser = createTarParser(
    { member: (member) => addMember(members, member, source), data() {}, memberEnd() {} },
    { source, limits: { maxSize: mostBytes, maxFiles: mostMembers } },
  );
  const { size } = statSync(`/proc/self/fd/${fd}`);
  const window = Buffer.allocUnsafeSlow(windowBytes);
  for (let offset = 0; offset < size;) {
    // A turn of the event loop, without which no signal could fire.
    await setImmediate();
    if (signal.aborted) throw new CellarError('E_CANCELLED', { cause: signal.reason });
    const bytes = readAt(fd, offset, window);
    if (bytes.length === 0) break;
    parser.push(bytes);
    offset += bytes.length;
    const skip = Math.min(parser.skippable(), size - offset);
    parser.skip(skip);
    offset += skip;
  }
  parser.finish();
  return members;
}

function addMember(members: Map<ByteString, Member>, member: TarMember, source: string): void {
  const { type, storedSize: length, dataOffset: offset, sparse, target = '' } = member;
  const path = cleanName(member.path);
  if (nameProblem(path) !== undefined || type === 'directory') return;
  if (sparse !== undefined)
    throw new CellarError('E_ARCHIVE_FORMAT', {
      details: { source, problem: 'a file in it is sparse' },
      hint: 'write it again with skopeo copy, podman save or docker save',
    });
  if (type === 'file') members.set(path, { offset, length });
  else if (type === 'hardlink') members.set(path, { offset: 0, length: 0, target: cleanName(target) });
  else if (type === 'symlink') members.set(path, { offset: 0, length: 0, target: resolveLink(path, target) });
}

function findMember(
  members: ReadonlyMap<ByteString, Member>,
  name: ByteString,
  path: string,
): FileRange | undefined {
  let member = members.get(name);
  for (let links = 0; member?.target !== undefined && links < mostLinks; links++)
    member = members.get(member.target);
  if (member === undefined || member.target !== undefined) return undefined;
  return { path, offset: member.offset, length: member.length };
}

/** Docker linked a layer that an image has twice: `../0123…/layer.tar`. */
function resolveLink(from: ByteString, target: ByteString): ByteString {
  const parts = target.startsWith('/') ? [] : from.split('/').slice(1, -1);
  for (const part of target.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return `/${parts.join('/')}`;
}

async function unpack(file: string, { location, signal }: OpenOptions): Promise<number> {
  const directory = mkdtempSync(join(directoryForLargeFiles(), 'cellar-image-'));
  try {
    const unpacked = join(directory, 'archive.tar');
    const input = createReadStream(file, { highWaterMark: 1 << 20 });
    await writeFile(unpacked, decompress(input, { source: location, signal }), { mode: 0o600, flag: 'wx' });
    return openSync(unpacked, 'r');
  } catch (error) {
    if (error instanceof CellarError) throw error;
    throw toCellarError(error, { doing: `unpacking ${location}`, path: directory });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** `/tmp` is often in memory; `/var/tmp` is on a disk. Source: file-hierarchy(7). */
function directoryForLargeFiles(): string {
  const { TMPDIR } = process.env;
  if (TMPDIR !== undefined && TMPDIR !== '') return TMPDIR;
  return existsSync('/var/tmp') ? '/var/tmp' : tmpdir();
}

function openFile(file: string, location: string): number {
  try {
    if (statSync(file).isFile()) return openSync(file, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) throw gone(location, 'there is no such file');
    throw toCellarError(error, { doing: 'reading', path: file });
  }
  throw gone(location, 'it is no file');
}

/** As much of `target` as there are bytes. */
function readAt(fd: number, offset: number, target: Buffer): Buffer {
  let filled = 0;
  while (filled < target.length) {
    const count = readSync(fd, target, filled, target.length - filled, offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return target.subarray(0, filled);
}
