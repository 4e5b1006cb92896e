/** Where an export goes: standard output, or a file that appears whole or not at all. */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { createHash, randomBytes } from 'node:crypto';
import { basename, dirname, join, resolve } from 'node:path';
import { fromText } from '../../core/bytes.ts';
import type { Digest } from '../../core/digest.ts';
import { CellarError } from '../../core/errors.ts';
import { fsyncDir } from '../../sys/atomic.ts';
import { drained } from '../../sys/drained.ts';
import { toCellarError } from '../../sys/errno.ts';
import { largeFile } from '../../sys/large-file.ts';
import { startWriteback } from '../../sys/syncfs.ts';
import { writeFully } from '../../sys/write-fully.ts';

export interface Output extends AsyncDisposable {
  /** The bytes are written, or copied, on return. The next may be given before that. */
  write(chunk: Uint8Array): Promise<void>;
  /** Gives the file its name. */
  finish(): { bytes: number; sums?: { sha256: Digest; sha1: string } };
}

export interface OutputOptions {
  readonly hash: boolean;
  /** On the medium when it gets its name; else the kernel writes it when it likes, as it does for tar. */
  readonly durable: boolean;
  /** How many bytes there will be, roughly. */
  readonly expected: number;
  readonly signal: AbortSignal;
}

/** @throws E_NO_SPACE, E_QUOTA, E_NOT_ALLOWED, E_IO from `write` and `finish` too */
export function openOutput(destination: string, options: OutputOptions): Output {
  const target = openDestination(destination, options);
  const hashers = options.hash ? { sha256: createHash('sha256'), sha1: createHash('sha1') } : undefined;
  let bytes = 0;
  return {
    async write(chunk) {
      bytes += chunk.length;
      hashers?.sha256.update(chunk);
      hashers?.sha1.update(chunk);
      await target.write(chunk);
    },
    finish() {
      target.finish();
      return hashers === undefined
        ? { bytes }
        : { bytes, sums: { sha256: hashers.sha256.digest('hex'), sha1: hashers.sha1.digest('hex') } };
    },
    async [Symbol.asyncDispose]() {
      target.dispose();
    },
  };
}

/** Where what is to lie at `path` is written: hidden beside it, by a name that is no longer than names can be. */
export function partialBeside(path: string): string {
  const name = Buffer.from(basename(path)).subarray(0, 200).toString();
  return join(dirname(path), `.${name}.${randomBytes(6).toString('hex')}.partial`);
}

interface Destination {
  write(chunk: Uint8Array): Promise<void>;
  finish(): void;
  dispose(): void;
}

/** A device or FIFO is written to as it is; a symlink stays, the file it names is replaced. */
function openDestination(destination: string, options: OutputOptions): Destination {
  if (destination === '-') return stdoutDestination(options);
  const { path, kind } = placeOf(destination);
  return kind === undefined || kind.isFile() ? fileDestination(path, options) : deviceDestination(path);
}

/** What is known to fail before anything is read. @throws E_DESTINATION_EXISTS, E_SOURCE_NOT_FOUND */
export function checkDestination(destination: string): void {
  if (destination !== '-') placeOf(destination);
}

function placeOf(destination: string): { path: string; kind: Stats | undefined } {
  const path = existsSync(destination) ? realpathSync(destination) : resolve(destination);
  const kind = statSync(path, { throwIfNoEntry: false });
  if (kind?.isDirectory() === true)
    throw new CellarError('E_DESTINATION_EXISTS', {
      details: { path: destination },
      hint: 'name the archive to write, not a directory',
    });
  if (kind === undefined) requireParent(path);
  return { path, kind };
}

/** @throws E_SOURCE_NOT_FOUND where no directory is there for it */
export function requireParent(path: string): void {
  const parent = dirname(path);
  if (existsSync(parent)) return;
  throw new CellarError('E_SOURCE_NOT_FOUND', {
    details: { source: parent },
    hint: `'mkdir -p ${parent}' makes it`,
  });
}

function deviceDestination(path: string): Destination {
  const fd = openSync(path, 'w');
  return {
    async write(chunk) {
      writeFully(fd, chunk);
    },
    finish() {},
    dispose() {
      closeSync(fd);
    },
  };
}

function stdoutDestination({ signal }: OutputOptions): Destination {
  return {
    async write(chunk) {
      // The chunk's memory is used again after this returns, so a copy goes into the pipe's queue.
      if (!process.stdout.write(Buffer.from(chunk))) await drained(process.stdout, signal);
    },
    finish() {},
    dispose() {},
  };
}

function fileDestination(path: string, { durable, expected }: OutputOptions): Destination {
  const temporary = partialBeside(path);
  const explain = (error: unknown): Error => toCellarError(error, { doing: 'writing', path });
  const inside = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw explain(error);
    }
  };
  const fd = inside(() => openSync(temporary, 'wx', 0o644));
  const file = largeFile(fd, temporary, { expected });
  let open = true;
  let finished = false;
  const close = (): void => {
    if (!open) return;
    open = false;
    file[Symbol.dispose]();
    closeSync(fd);
  };
  return {
    async write(chunk) {
      await file.append(chunk).catch((error: unknown) => {
        throw explain(error);
      });
      if (durable) inside(() => startWriteback(fd));
    },
    finish() {
      inside(() => {
        file.end();
        if (durable) fsyncSync(fd);
        close();
        renameSync(temporary, path);
        finished = true;
        if (durable) fsyncDir(fromText(dirname(path)));
      });
    },
    dispose() {
      close();
      if (!finished) rmSync(temporary, { force: true });
    },
  };
}
