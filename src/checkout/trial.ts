/** Trying is the only sure way to know what two directories can do together; each trial leaves nothing behind. */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, linkSync, openSync, rmSync, writeSync } from 'node:fs';
import { toBytes, type ByteString } from '../core/bytes.ts';
import { isErrno } from '../sys/errno.ts';
import { reflink } from '../sys/reflink.ts';

/** Whether files in `to` can share extents with files in `from`. */
export function canReflink(from: ByteString, to: ByteString): boolean {
  return trial(from, to, (source, target) => {
    const fd = openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    const sourceFd = openSync(source, constants.O_RDONLY);
    try {
      return reflink(sourceFd, fd);
    } finally {
      closeSync(sourceFd);
      closeSync(fd);
    }
  });
}

/** Whether files in `to` can be hard links of files in `from`. */
export function canHardlink(from: ByteString, to: ByteString): boolean {
  return trial(from, to, (source, target) => {
    linkSync(source, target);
    return true;
  });
}

function trial(
  from: ByteString,
  to: ByteString,
  attempt: (source: Buffer, target: Buffer) => boolean,
): boolean {
  const name = `.cellar-${randomBytes(6).toString('hex')}`;
  const source = toBytes(`${from}/${name}`);
  const target = toBytes(`${to}/${name}-trial`);
  try {
    const fd = openSync(source, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    writeSync(fd, name);
    closeSync(fd);
    return attempt(source, target);
  } catch (error) {
    // No right to write there is found, and said better, by the checkout itself.
    if (isErrno(error, 'EXDEV', 'EPERM', 'EACCES', 'EROFS', 'EOPNOTSUPP', 'EMLINK')) return false;
    throw error;
  } finally {
    rmSync(target, { force: true });
    rmSync(source, { force: true });
  }
}
