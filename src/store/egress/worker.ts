/** A reading worker: fills its part of a slot, hashing every byte of every object on the way out. */
import { closeSync, openSync, readSync } from 'node:fs';
import { hash, type Hash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { digestPath, sha256Stream } from '../../core/digest.ts';
import { reasonOf } from '../../sys/errno.ts';
import { serveMessages } from '../../sys/worker-thread.ts';
import { openZstdEncoder, type ZstdEncoder } from '../../sys/libzstd.ts';
import { faultAtRest } from '../at-rest.ts';
import {
  flag,
  packedSlotBytes,
  readWidth,
  tablesAtLevel3,
  type EgressAnswer,
  type EgressSetup,
  type PackBatch,
  type ReadBatch,
} from './protocol.ts';

const setup = workerData as EgressSetup;
const memory = asBuffer(setup.slots);
const packed = asBuffer(setup.packed);
const gap = Buffer.allocUnsafeSlow(1 << 20);
const zeros = Buffer.alloc(1 << 20);

function asBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

/** Files that span several slots: one is open at a time per worker, usually. */
interface OpenFile {
  readonly fd: number;
  readonly hasher: Hash;
  position: number;
}
const open = new Map<number, OpenFile>();

serveMessages((batch: ReadBatch | PackBatch) => {
  const { ticket } = batch;
  try {
    if (batch.kind === 'pack') return answer({ ticket, packed: pack(batch) });
    for (let at = 0; at < batch.digests.length; at++) read(batch, at);
    answer({ ticket });
  } catch (error) {
    answer({
      ticket,
      error: error instanceof BadObject ? error.answer : { code: 'E_IO', object: '', found: reasonOf(error) },
    });
  }
});

let encoder: ZstdEncoder | undefined;

function pack({ start, length, target, level }: PackBatch): number {
  encoder ??= openZstdEncoder({ level, ...(level === 3 ? tablesAtLevel3 : {}) })!;
  return encoder.pack(
    memory.subarray(start, start + length),
    packed.subarray(target, target + packedSlotBytes),
  );
}

function answer(message: EgressAnswer): void {
  parentPort!.postMessage(message);
}

class BadObject extends Error {
  readonly answer: NonNullable<EgressAnswer['error']>;
  constructor(answer: NonNullable<EgressAnswer['error']>) {
    super(answer.code);
    this.answer = answer;
  }
}

function read({ reads, digests }: ReadBatch, at: number): void {
  const [id, flags, target, offset, length, size] = reads.subarray(
    at * readWidth,
    at * readWidth + readWidth,
  ) as unknown as number[];
  const digest = digests[at]!;
  if (flags === (flag.first | flag.last) && length === size) return readWhole(digest, target!, length!);
  if (flags === flag.part)
    return readPart(digest, { target: target!, offset: offset!, length: length!, size: size! });
  const file = (flags! & flag.first) !== 0 ? begin(id!, digest) : open.get(id!)!;
  hashUpTo(file, offset!, digest);
  fill(file.fd, memory.subarray(target!, target! + length!), offset!, digest);
  file.hasher.update(memory.subarray(target!, target! + length!));
  file.position = offset! + length!;
  if ((flags! & flag.last) !== 0) finish(id!, file, digest, size!);
}

function readWhole(digest: string, target: number, length: number): void {
  readChecked(digest, memory.subarray(target, target + length));
}

function readPart(
  digest: string,
  { target, offset, length, size }: { target: number; offset: number; length: number; size: number },
): void {
  const whole = gap.subarray(0, size);
  readChecked(digest, whole);
  memory.set(whole.subarray(offset, offset + length), target);
}

function readChecked(digest: string, bytes: Buffer): void {
  const fd = openObject(digest);
  try {
    fill(fd, bytes, 0, digest);
    check(digest, hash('sha256', bytes, 'hex'));
  } finally {
    closeSync(fd);
  }
}

function begin(id: number, digest: string): OpenFile {
  const file = { fd: openObject(digest), hasher: sha256Stream(), position: 0 };
  open.set(id, file);
  return file;
}

function finish(id: number, file: OpenFile, digest: string, size: number): void {
  hashUpTo(file, size, digest);
  closeSync(file.fd);
  open.delete(id);
  check(digest, file.hasher.digest('hex'));
}

/** Holes are not in the stream, but they are in the digest. */
function hashUpTo(file: OpenFile, offset: number, digest: string): void {
  while (file.position < offset) {
    const part = gap.subarray(0, Math.min(gap.length, offset - file.position));
    fill(file.fd, part, file.position, digest);
    // What is left out as a hole must be one: an object that changed since it was looked at is not exported.
    if (!part.equals(zeros.subarray(0, part.length)))
      throw new BadObject({ code: 'E_OBJECT_DAMAGED', object: digest, found: 'data where there was a hole' });
    file.hasher.update(part);
    file.position += part.length;
  }
}

function openObject(digest: string): number {
  try {
    return openSync(`${setup.objects}/${digestPath(digest)}`, 'r');
  } catch (error) {
    throw badObject(digest, error);
  }
}

function fill(fd: number, target: Buffer, offset: number, digest: string): void {
  for (let done = 0; done < target.length;) {
    let count: number;
    try {
      count = readSync(fd, target, done, target.length - done, offset + done);
    } catch (error) {
      throw badObject(digest, error);
    }
    if (count === 0) throw new BadObject({ code: 'E_OBJECT_DAMAGED', object: digest, found: 'too short' });
    done += count;
  }
}

function badObject(digest: string, error: unknown): unknown {
  const fault = faultAtRest(error);
  if (fault === undefined) return error;
  const code = fault === 'missing' ? 'E_OBJECT_MISSING' : 'E_OBJECT_DAMAGED';
  return new BadObject({ code, object: digest, found: `${fault}: ${reasonOf(error)}` });
}

function check(digest: string, found: string): void {
  if (found !== digest) throw new BadObject({ code: 'E_OBJECT_DAMAGED', object: digest, found });
}
