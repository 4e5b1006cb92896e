/** A hashing worker: takes batches, stages what the store lacks, answers with digests. See protocol.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { CellarError } from '../../core/errors.ts';
import { hash } from 'node:crypto';
import {
  op,
  opWidth,
  slotBytes,
  type Batch,
  type BatchDone,
  type OpExtra,
  type WorkerSetup,
} from './protocol.ts';
import { createStager } from './stager.ts';
import { beginLargeFile, type LargeFile } from './large-file.ts';
import { ingestPath } from './path-file.ts';
import { storeRange, type FileRange } from './range-file.ts';
import { isEnding, serveMessages } from '../../sys/worker-thread.ts';
import { describeError, type WorkerError } from './worker-error.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { noXattrs } from '../../tree/entry.ts';

const setup = workerData as WorkerSetup;
const slots = Buffer.from(setup.slots);
const stager = createStager(setup);
const large = new Map<number, LargeFile>();
/** After a failure everything queued is answered and dropped, so that the main thread gets its slots back. */
let failed: WorkerError | undefined;

serveMessages((batch: Batch) => {
  const done = {
    slots: batch.slots,
    ids: [] as number[],
    digests: '',
    isNew: [] as boolean[],
    sizes: [] as number[],
  };
  try {
    if (failed === undefined) run(batch, done);
  } catch (error) {
    failed = describeError(error);
  }
  parentPort!.postMessage((failed === undefined ? done : { ...done, error: failed }) satisfies BatchDone);
});

type Done = { ids: number[]; digests: string; isNew: boolean[]; sizes: number[] };

function run(batch: Batch, done: Done): void {
  const { ops, extras } = batch;
  for (let at = 0; at < ops.length; at += opWidth) {
    if (isEnding()) return;
    const id = ops[at + 1]!;
    const extra = ops[at + 14]! > 0 ? extras[ops[at + 14]! - 1] : undefined;
    switch (ops[at]) {
      case op.whole: {
        const content = contentOf(ops, at);
        const digest = hash('sha256', content, 'hex');
        finish(done, id, digest, stager.stage(digest, content, metaOf(ops, at, extra)), content.length);
        break;
      }
      case op.begin:
        large.set(id, beginLargeFile(stager, { size: ops[at + 2]!, sparse: extra?.sparse }));
        break;
      case op.piece:
        large.get(id)!.write(piece(ops, at + 3));
        break;
      case op.end: {
        using file = large.get(id)!;
        large.delete(id);
        const { digest, isNew } = file.finish(metaOf(ops, at, extra));
        finish(done, id, digest, isNew, ops[at + 2]!);
        break;
      }
      case op.range: {
        const { digest, isNew } = storeRange(stager, rangeOf(ops, at, extra), metaOf(ops, at, extra));
        finish(done, id, digest, isNew, ops[at + 2]!);
        break;
      }
      default: {
        const { digest, isNew, size } = ingestPath(stager, extra!, metaOf(ops, at, extra), ops[at + 2]!);
        finish(done, id, digest, isNew, size);
      }
    }
  }
}

function finish(done: Done, id: number, digest: string, isNew: boolean, size: number): void {
  done.ids.push(id);
  done.digests += digest;
  done.isNew.push(isNew);
  done.sizes.push(size);
}

/** Stored segments follow each other in an archive. */
function rangeOf(ops: Float64Array, at: number, extra: OpExtra | undefined): FileRange {
  const size = ops[at + 2]!;
  let from = ops[at + 4]!;
  const pieces = (extra?.sparse ?? [{ offset: 0, length: size }]).map(({ offset, length }) => {
    from += length;
    return { offset, length, from: from - length };
  });
  return { fd: ops[at + 3]!, size, pieces, changed: archiveChanged };
}

function archiveChanged(): Error {
  return new CellarError('E_SOURCE_CHANGED', { details: { path: 'the archive' } });
}

function contentOf(ops: Float64Array, at: number): Buffer {
  const first = piece(ops, at + 3);
  return ops[at + 8]! === 0 ? first : Buffer.concat([first, piece(ops, at + 6)]);
}

function piece(ops: Float64Array, at: number): Buffer {
  const start = ops[at]! * slotBytes + ops[at + 1]!;
  return slots.subarray(start, start + ops[at + 2]!);
}

function metaOf(ops: Float64Array, at: number, extra: OpExtra | undefined): InodeMeta {
  return {
    mode: ops[at + 9]!,
    uid: ops[at + 10]!,
    gid: ops[at + 11]!,
    mtime: ops[at + 12]!,
    mtimeNsec: ops[at + 13]!,
    xattrs: extra?.xattrs ?? noXattrs,
  };
}
