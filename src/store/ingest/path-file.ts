/** A file read from a directory: small ones in one read, large ones hashed first and copied only when they are new. */
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { hash } from 'node:crypto';
import { toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { sha256Stream, type Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { dataExtents } from '../../sys/sparse.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { beginLargeFile } from './large-file.ts';
import type { ExpectedFile, OpExtra, Segment } from './protocol.ts';
import type { Stager } from './stager.ts';

const smallBytes = 4 << 20;
const buffer = Buffer.allocUnsafeSlow(smallBytes);

/** @throws E_SOURCE_CHANGED when it is not the file that was scanned, or changes while it is read */
export function ingestPath(
  stager: Stager,
  extra: OpExtra,
  meta: InodeMeta,
  size: number,
): { digest: Digest; isNew: boolean; size: number } {
  const path = extra.path!;
  const fd = openSource(path);
  try {
    checkUnchanged(fd, path, size, extra.expected!);
    const stored =
      size <= smallBytes
        ? storeSmall(stager, fd, path, size, meta)
        : storeLarge(stager, fd, path, size, meta);
    checkUnchanged(fd, path, size, extra.expected!);
    return { ...stored, size };
  } finally {
    closeSync(fd);
  }
}

/** The path must still be the regular file that was scanned: no symlink followed, no FIFO waited for. */
function openSource(path: ByteString): number {
  try {
    return openSync(toBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO') throw changed(path);
    if (code === 'EACCES' || code === 'EPERM') {
      throw new CellarError('E_NOT_ALLOWED', {
        details: { operation: `reading ${toText(path)}`, problem: 'permission denied' },
      });
    }
    throw error;
  }
}

function storeSmall(
  stager: Stager,
  fd: number,
  path: ByteString,
  size: number,
  meta: InodeMeta,
): { digest: Digest; isNew: boolean } {
  let read = 0;
  while (read < size) {
    const count = readSync(fd, buffer, read, size - read, read);
    if (count === 0) throw changed(path);
    read += count;
  }
  const content = buffer.subarray(0, size);
  const digest = hash('sha256', content, 'hex');
  if (stager.has(digest, size)) return { digest, isNew: false };
  const extents = size >= 64 << 10 ? dataExtents(fd, size) : undefined;
  if (extents === undefined || isDense(extents, size))
    return { digest, isNew: stager.stage(digest, content, meta) };
  return copySparse(stager, fd, path, size, extents, meta);
}

function storeLarge(
  stager: Stager,
  fd: number,
  path: ByteString,
  size: number,
  meta: InodeMeta,
): { digest: Digest; isNew: boolean } {
  const hasher = sha256Stream();
  for (const part of readParts(fd, path, { offset: 0, length: size })) hasher.update(part);
  const digest = hasher.digest('hex');
  if (stager.has(digest, size)) return { digest, isNew: false };
  return copySparse(stager, fd, path, size, dataExtents(fd, size), meta);
}

function copySparse(
  stager: Stager,
  fd: number,
  path: ByteString,
  size: number,
  sparse: readonly Segment[],
  meta: InodeMeta,
): { digest: Digest; isNew: boolean } {
  const file = beginLargeFile(stager, { size, sparse });
  for (const extent of sparse) for (const part of readParts(fd, path, extent)) file.write(part);
  return file.finish(meta);
}

function* readParts(fd: number, path: ByteString, extent: Segment): Generator<Buffer> {
  for (let done = 0; done < extent.length;) {
    const count = readSync(
      fd,
      buffer,
      0,
      Math.min(buffer.length, extent.length - done),
      extent.offset + done,
    );
    if (count === 0) throw changed(path);
    yield buffer.subarray(0, count);
    done += count;
  }
}

function isDense(extents: readonly Segment[], size: number): boolean {
  return extents.length === 1 && extents[0]!.offset === 0 && extents[0]!.length === size;
}

function checkUnchanged(fd: number, path: ByteString, size: number, expected: ExpectedFile): void {
  const stat: BigIntStats = fstatSync(fd, { bigint: true });
  const mtime = BigInt(expected.mtime) * 1_000_000_000n + BigInt(expected.mtimeNsec);
  if (
    !stat.isFile() ||
    stat.size !== BigInt(size) ||
    stat.ino.toString() !== expected.ino ||
    stat.mtimeNs !== mtime
  )
    throw changed(path);
}

function changed(path: ByteString): CellarError {
  return new CellarError('E_SOURCE_CHANGED', { details: { path: toText(path) } });
}
