/** Where a sparse file has data: lseek(2) with SEEK_DATA and SEEK_HOLE, so that holes are neither read nor written. */
import { errnos } from './errno.ts';
import { lastErrno, libc, sysError } from './libc.ts';

/** Data of a sparse file between two holes, in bytes. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/**
 * Data segments in ascending order within the first `size` bytes, which is the file's size; what they leave out reads
 * as zeros. One segment for a file without holes or on a file system that knows none. Moves the position of `fd`.
 */
export function dataSegments(fd: number, size: number): Segment[] {
  const segments: Segment[] = [];
  let position = 0;
  while (position < size) {
    const start = libc().lseek(fd, position, SEEK_DATA);
    if (start === -1) {
      const errno = lastErrno();
      if (errno === errnos.ENXIO) break;
      if (errno === errnos.EINVAL) return [{ offset: 0, length: size }];
      throw sysError('lseek');
    }
    if (start >= size) break;
    const hole = libc().lseek(fd, start, SEEK_HOLE);
    if (hole === -1 && lastErrno() !== errnos.ENXIO) throw sysError('lseek');
    // A file that shrank under us: whoever reads the rest meets its end.
    const end = hole === -1 ? size : Math.min(hole, size);
    segments.push({ offset: start, length: end - start });
    position = end;
  }
  return segments;
}
