/** A file read from a directory: it must be, and stay, the very file that the scan saw. */
import { closeSync, constants, fstatSync, openSync, type BigIntStats } from 'node:fs';
import { toBytes, toText, type ByteString } from '../../core/bytes.ts';
import { CellarError } from '../../core/errors.ts';
import { dataExtents } from '../../sys/sparse.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import type { ExpectedFile, OpExtra } from './protocol.ts';
import { storeRange, type Piece } from './range-file.ts';
import type { Stager, Stored } from './stager.ts';
import { isErrno } from '../../sys/errno.ts';

/** @throws E_SOURCE_CHANGED when it is not the file that was scanned, or changes while it is read */
export async function ingestPath(
  stager: Stager,
  extra: OpExtra,
  meta: InodeMeta,
  size: number,
): Promise<Stored> {
  const path = extra.path!;
  const fd = openSource(path);
  try {
    checkUnchanged(fd, path, size, extra.expected!);
    const changedNow = (): Error => changed(path);
    const range = { fd, size, pieces: piecesOf(fd, size), changed: changedNow };
    const stored = await storeRange(stager, range, meta);
    checkUnchanged(fd, path, size, extra.expected!);
    return stored;
  } finally {
    closeSync(fd);
  }
}

/** The path must still be the regular file that was scanned: no symlink followed, no FIFO waited for. */
function openSource(path: ByteString): number {
  try {
    return openSync(toBytes(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ELOOP', 'ENXIO')) throw changed(path);
    if (isErrno(error, 'EACCES', 'EPERM')) {
      throw new CellarError('E_NOT_ALLOWED', {
        details: { operation: `reading ${toText(path)}`, problem: 'permission denied' },
      });
    }
    throw error;
  }
}

/** Holes are looked for only where a file is large enough to have one worth keeping. */
function piecesOf(fd: number, size: number): Piece[] {
  const extents = size < smallestSparse ? [{ offset: 0, length: size }] : dataExtents(fd, size);
  return extents.map(({ offset, length }) => ({ offset, length, from: offset }));
}

const smallestSparse = 64 << 10;

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
