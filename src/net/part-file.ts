/**
 * What a download keeps on disk, so that a killed process's work is not lost: `KEY.part` with the bytes, `KEY.json`
 * with what they are a part of, `KEY.lock` held by the one process that writes them.
 */
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { openDirect } from '../sys/direct-file.ts';
import { toCellarError } from '../sys/errno.ts';
import { flock } from '../sys/flock.ts';
import type { Version } from './version.ts';

/** What is remembered of the bytes in the part file. */
export interface PartState extends Version {
  /** Where they came from; credentials and tokens left out. For people who look. */
  readonly url: string;
  /** Finished segments of `segmentSize`; absent while one connection writes the file from its beginning to its end. */
  readonly segments?: readonly number[] | undefined;
  /** While one connection writes: so many bytes from the first on were there. Of those behind them the last may have holes. */
  readonly settled?: number | undefined;
}

export interface PartFile extends AsyncDisposable {
  readonly path: string;
  /** Of an earlier process, if its bytes can be trusted. `sure`: a digest will tell in the end. */
  recall(sure: boolean): { readonly state: PartState; readonly bytes: number } | undefined;
  remember(state: PartState): void;
  /** The bytes are of no known version: another process starts again. */
  forget(): void;
  /** As much of `target` as there is; at least one byte. */
  read(position: number, target: Buffer): Promise<Buffer>;
  write(position: number, bytes: Buffer): Promise<void>;
  truncate(length: number): void;
  /** Removes all three files. */
  remove(): void;
}

/** Waits while another process downloads under the same key. @throws E_CANCELLED, E_NO_SPACE, E_IO, E_NOT_ALLOWED */
export async function openPartFile(directory: string, key: string, signal: AbortSignal): Promise<PartFile> {
  if (!/^[\w.@+-]+$/.test(key) || key.startsWith('.')) throw new Error(`not a file name: ${key}`);
  const path = join(directory, `${key}.part`);
  const [statePath, lockPath] = [join(directory, `${key}.json`), join(directory, `${key}.lock`)];
  const explained = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw explain(error);
    }
  };
  const explain = (error: unknown): Error => toCellarError(error, { doing: 'writing a download', path });
  explained(() => mkdirSync(directory, { recursive: true, mode: 0o700 }));
  const lock = await lockFile(lockPath, signal).catch((error: unknown) => {
    throw explain(error);
  });
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    closeSync(lock);
    throw explain(error);
  }
  const direct = openDirect(handle.fd, path);
  let removed = false;
  const forget = (): void => explained(() => rmSync(statePath, { force: true }));
  return {
    path,
    recall(sure) {
      const stored = readState(statePath);
      if (stored === undefined) return undefined;
      // What was written last may be missing after a power cut. A file that grew at its end tends to be right as
      // far as it goes, and then a digest can tell; one with gaps says nothing.
      const wentDown = stored.boot !== bootId();
      if (wentDown && (!sure || stored.state.segments !== undefined)) return undefined;
      return { state: stored.state, bytes: fstatSync(handle.fd).size };
    },
    remember(state) {
      explained(() => {
        writeFileSync(`${statePath}~`, JSON.stringify({ format: 1, boot: bootId(), state }), { mode: 0o600 });
        renameSync(`${statePath}~`, statePath);
      });
    },
    forget,
    async read(position, target) {
      try {
        const { bytesRead } = await handle.read(target, 0, target.length, position);
        if (bytesRead === 0) throw new Error(`${path} was cut by somebody else`);
        return target.subarray(0, bytesRead);
      } catch (error) {
        throw explain(error);
      }
    },
    async write(position, bytes) {
      try {
        await direct.write(position, bytes);
      } catch (error) {
        throw explain(error);
      }
    },
    truncate(length) {
      explained(() => ftruncateSync(handle.fd, length));
    },
    remove() {
      if (removed) return;
      removed = true;
      // The lock goes last, and while it is held: who waits for it sees that it is gone and takes a new one.
      for (const file of [statePath, `${statePath}~`, path, lockPath]) rmSync(file, { force: true });
    },
    async [Symbol.asyncDispose]() {
      direct[Symbol.dispose]();
      await handle.close();
      closeSync(lock);
    },
  };
}

async function lockFile(path: string, signal: AbortSignal): Promise<number> {
  for (;;) {
    const fd = openSync(path, 'a', 0o600);
    try {
      await flock(fd, 'exclusive', { signal });
      if (statSync(path, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) return fd;
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
  }
}

function readState(path: string): { boot: string; state: PartState } | undefined {
  try {
    const found: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return isStored(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isStored(found: unknown): found is { boot: string; state: PartState } {
  if (!isRecord(found) || found['format'] !== 1 || !isRecord(found['state'])) return false;
  const { url, size, etag, lastModified, segments, settled } = found['state'];
  return (
    typeof url === 'string' &&
    [size, settled].every(
      (bytes) => bytes === undefined || (Number.isSafeInteger(bytes) && Number(bytes) >= 0),
    ) &&
    [etag, lastModified].every((value) => value === undefined || typeof value === 'string') &&
    (segments === undefined ||
      (Array.isArray(segments) && segments.every((index) => typeof index === 'number')))
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Bytes in the page cache survive a killed process but not a power cut; this tells which it was. */
function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
