/** A hashing worker: takes batches, stages what the store lacks, answers with digests. See protocol.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { CellarError } from '../../core/errors.ts';
import { hash } from 'node:crypto';
import type { Digest } from '../../core/digest.ts';
import {
  op,
  opWidth,
  slotBytes,
  type Batch,
  type BatchDone,
  type OpExtra,
  type WorkerSetup,
} from './protocol.ts';
import { createStager, type Stored } from './stager.ts';
import { copyOf, largeBytes } from './blocks.ts';
import { beginLargeFile, stageLarge, type LargeFile } from './large-file.ts';
import { ingestPath } from './path-file.ts';
import { storeRange, type FileRange } from './range-file.ts';
import { isEnding, letOthersGoFirst, serveMessages } from '../../sys/worker-thread.ts';
import { describeError, type WorkerError } from './worker-error.ts';
import type { InodeMeta } from '../../tree/entry.ts';
import { noXattrs } from '../../tree/entry.ts';

const setup = workerData as WorkerSetup;
const slots = Buffer.from(setup.slots);
const stager = createStager(setup);
const large = new Map<number, LargeFile>();
/** After a failure everything queued is answered and dropped, so that the main thread gets its slots back. */
let failed: WorkerError | undefined;

letOthersGoFirst();

/** One batch at a time; the last writes of one may still be under way when the next begins. */
let turn = Promise.resolve();

serveMessages((batch: Batch) => {
  turn = turn.then(() => serve(batch));
});

async function serve(batch: Batch): Promise<void> {
  const done: Done = { ids: [], digests: [], isNew: [], sizes: [] };
  const writes: Promise<void>[] = [];
  const fail = (error: unknown): void => {
    failed ??= describeError(error);
  };
  try {
    if (failed === undefined) await run(batch, done, writes);
  } catch (error) {
    fail(error);
    for (const file of large.values()) writes.push(file.abandon());
    large.clear();
  }
  void Promise.all(writes.map((write) => write.catch(fail))).then(() => {
    const answer: BatchDone = { slots: batch.slots, ...done };
    parentPort!.postMessage(failed === undefined ? answer : { ...answer, error: failed });
  });
}

type Done = { ids: number[]; digests: Digest[]; isNew: boolean[]; sizes: number[] };

async function run(batch: Batch, done: Done, writes: Promise<void>[]): Promise<void> {
  const { ops, extras } = batch;
  for (let at = 0; at < ops.length; at += opWidth) {
    if (isEnding()) return;
    const [id, size] = [ops[at + 1]!, ops[at + 2]!];
    const extra = ops[at + 14]! > 0 ? extras[ops[at + 14]! - 1] : undefined;
    const finish = ({ digest, isNew }: Stored): void => {
      if (typeof isNew === 'boolean') add(done, id, digest, isNew, size);
      else writes.push(isNew.then((settled) => add(done, id, digest, settled, size)));
    };
    switch (ops[at]) {
      case op.whole: {
        const content = contentOf(ops, at);
        const digest = hash('sha256', content, 'hex');
        const meta = metaOf(ops, at, extra);
        if (content.length >= largeBytes) finish(await stageLarge(stager, digest, content, meta));
        else add(done, id, digest, stager.stage(digest, content, meta), size);
        break;
      }
      case op.begin:
        large.set(id, beginLargeFile(stager, { size, sparse: extra?.sparse }));
        break;
      case op.piece: {
        const content = piece(ops, at + 3);
        await large.get(id)!.write(content.length, copyOf(content));
        break;
      }
      case op.end: {
        const file = large.get(id)!;
        large.delete(id);
        finish(file.finish(metaOf(ops, at, extra)));
        break;
      }
      case op.range:
        finish(await storeRange(stager, rangeOf(ops, at, extra), metaOf(ops, at, extra)));
        break;
      default:
        finish(await ingestPath(stager, extra!, metaOf(ops, at, extra), size));
    }
  }
}

function add(done: Done, id: number, digest: string, isNew: boolean, size: number): void {
  done.ids.push(id);
  done.digests.push(digest);
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
