/** A file read from a directory: it must be, and stay, the very file that the scan saw. */
import { closeSync, constants, fstatSync, openSync, type BigIntStats } from 'node:fs';
import { toBytes, type ByteString } from '../../core/bytes.ts';
import { dataSegments } from '../../sys/sparse.ts';
import { readingSource, sourceChanged } from '../../tree/directory.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import type { ExpectedFile, OpExtra } from './protocol.ts';
import { storeRange, type Piece } from './range-file.ts';
import type { Stager, Stored } from './stager.ts';

/** @throws E_SOURCE_CHANGED when it is not the file that was scanned, or changes while it is read; E_NOT_ALLOWED */
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
    const range = { fd, size, pieces: piecesOf(fd, size), changed: () => sourceChanged(path) };
    const stored = await storeRange(stager, range, meta);
    checkUnchanged(fd, path, size, extra.expected!);
    return stored;
  } finally {
    closeSync(fd);
  }
}

/** The path must still be the regular file that was scanned: no symlink followed, no FIFO waited for. */
function openSource(path: ByteString): number {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  return readingSource(path, () => openSync(toBytes(path), flags));
}

/** Holes are looked for only where a file is large enough to have one worth keeping. */
function piecesOf(fd: number, size: number): Piece[] {
  const extents = size < smallestSparse ? [{ offset: 0, length: size }] : dataSegments(fd, size);
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
    throw sourceChanged(path);
}
