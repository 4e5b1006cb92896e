/**
 * The log of all writes and flushes that reached a disk, as QEMU's `blklogwrites` writes it (the format of the kernel's
 * dm-log-writes). From it and the disk as it was, any moment can be had again: with all that was flushed by then, and of
 * what was not, a part, as a disk with a volatile cache leaves it when the power goes.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

export interface LoggedWrite {
  /** Bytes from the start of the disk. */
  readonly at: number;
  readonly length: number;
  /** Where its content is in the log; absent for what has none. */
  readonly content?: number;
  readonly isFlush: boolean;
  /** On the medium when it was acknowledged, whatever others are. */
  readonly isDurable: boolean;
}

const magic = 0x6a736677736872n;
const flush = 1n;
const forced = 2n;
const contentless = 4n | 8n;

/** All of them in order. The writer must be idle or gone. */
export function readWriteLog(file: string): LoggedWrite[] {
  using log = open(file, 'r');
  const head = log.read(0, 28);
  if (head.readBigUInt64LE(0) !== magic) throw new Error(`${file} is no log of writes`);
  const sector = head.readUInt32LE(24);
  const writes: LoggedWrite[] = [];
  for (let offset = sector; offset + sector <= log.size;) {
    const entry = log.read(offset, 32);
    const flags = entry.readBigUInt64LE(16);
    const length = Number(entry.readBigUInt64LE(8)) * sector;
    const content = offset + sector;
    const hasContent = length > 0 && (flags & contentless) === 0n;
    offset = content + (hasContent ? length : 0);
    if (offset > log.size) break;
    writes.push({
      at: Number(entry.readBigUInt64LE(0)) * sector,
      length,
      ...(hasContent ? { content } : {}),
      isFlush: (flags & flush) !== 0n,
      isDurable: (flags & forced) !== 0n,
    });
  }
  return writes;
}

/** Put on `image` what is there when the power goes after `count` writes; `random` (0…1) decides about what may be lost. */
export function replayWrites(
  file: string,
  image: string,
  { writes, count, random }: { writes: readonly LoggedWrite[]; count: number; random: () => number },
): void {
  using log = open(file, 'r');
  using disk = open(image, 'r+');
  const made = writes.slice(0, count);
  const safe = made.findLastIndex(({ isFlush }) => isFlush);
  for (const [index, { at, length, content, isDurable }] of made.entries()) {
    if (content === undefined || (index > safe && !isDurable && random() < 0.5)) continue;
    writeSync(disk.fd, log.read(content, length), 0, length, at);
  }
}

function open(
  file: string,
  mode: 'r' | 'r+',
): Disposable & { readonly fd: number; readonly size: number; read(at: number, length: number): Buffer } {
  const fd = openSync(file, mode);
  return {
    fd,
    size: fstatSync(fd).size,
    read(at, length) {
      const buffer = Buffer.alloc(length);
      if (readSync(fd, buffer, 0, length, at) !== length)
        throw new Error(`${file} ends before ${at + length}`);
      return buffer;
    },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
