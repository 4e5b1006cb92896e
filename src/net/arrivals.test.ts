import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { noise } from '../../test/support/lying-server.ts';
import { sha256 } from '../core/digest.ts';
import { createArrivals, type Arrivals } from './arrivals.ts';
import { takeBlock, type Block } from './blocks.ts';

test('a read that fails because the file was cut under it is begun again', async () => {
  const content = Buffer.from('another version');
  const first = Promise.withResolvers<Buffer>();
  let reads = 0;
  const arrivals = createArrivals({
    read: async (position, target) => {
      if (++reads === 1) return await first.promise;
      return target.subarray(0, content.copy(target, 0, position));
    },
  });
  arrivals.written(0, 100);
  await setImmediate();
  assert.equal(reads, 1);
  arrivals.cut(0);
  first.reject(new Error('the file is shorter than that'));
  arrivals.written(0, content.length);
  assert.equal(await arrivals.digest(content.length), sha256(content));
});

test('any other failure of a read is one', async () => {
  const arrivals = createArrivals({ read: () => Promise.reject(new Error('the disk is broken')) });
  arrivals.written(0, 100);
  await assert.rejects(arrivals.digest(100), /the disk is broken/);
});

/** A file whose holes read as zeros. */
function sparseFile(size: number): {
  content: Buffer;
  read: (position: number, target: Buffer) => Promise<Buffer>;
} {
  const content = Buffer.alloc(size);
  return {
    content,
    read: (position, target) => Promise.resolve(target.subarray(0, content.copy(target, 0, position))),
  };
}

/** Bytes come as a block of their own; those that are to be written are, at once. */
function come(arrivals: Arrivals, file: Buffer, { start, bytes }: { start: number; bytes: Buffer }): boolean {
  const block = takeBlock();
  const length = bytes.copy(block.memory);
  const isPassed = arrivals.gathered(start, block, length) === 'passed';
  if (!isPassed) {
    bytes.copy(file, start);
    arrivals.written(start, start + length);
  }
  return isPassed;
}

test('half a block that is in the file is not read on into what went to the reader alone', async () => {
  const mib = 1 << 20;
  const content = noise(8 * mib);
  const file = sparseFile(content.length);
  const arrivals = createArrivals(file);
  arrivals.passOn(true);
  const bring = (start: number, end: number): boolean =>
    come(arrivals, file.content, { start, bytes: content.subarray(start, end) });
  // Before anybody reads: a block that nobody had the patience to fill is the last.
  for (let at = 0; at < 5 * mib; at += mib) assert.equal(bring(at, at + mib), false);
  assert.equal(bring(5 * mib, 5.5 * mib), false);
  const reader = arrivals.read();
  const read = [Buffer.from((await reader.next()).value!)];
  assert.equal(bring(5.5 * mib, 6 * mib), true);
  assert.ok(arrivals.hasGaps());
  // The reader comes near, and what comes is written again.
  for (let at = 1; at < 5; at++) read.push(Buffer.from((await reader.next()).value!));
  for (let at = 6 * mib; at < 8 * mib; at += mib) assert.equal(bring(at, at + mib), false);
  const digest = arrivals.digest(content.length);
  arrivals.complete(content.length);
  for await (const chunk of reader) read.push(Buffer.from(chunk));
  assert.ok(Buffer.concat(read).equals(content));
  assert.equal(await digest, sha256(content));
  // Whoever begins again would have to read the hole.
  const again = async (): Promise<void> => {
    for await (const _ of arrivals.read());
  };
  await assert.rejects(again(), /is read again/);
});

test('of blocks that hold little no more are kept than of full ones', async () => {
  const content = noise(64 * 1000);
  const file = sparseFile(content.length);
  const arrivals = createArrivals(file);
  const reader = arrivals.read();
  const first = reader.next();
  const blocks: Block[] = [];
  for (let start = 0; start < content.length; start += 1000) {
    const block = takeBlock();
    blocks.push(block);
    content.copy(block.memory, 0, start, start + 1000);
    content.copy(file.content, start, start, start + 1000);
    assert.equal(arrivals.gathered(start, block, 1000), 'write');
    arrivals.written(start, start + 1000);
  }
  assert.equal(blocks.filter(({ users }) => users > 1).length, 32);
  const digest = arrivals.digest(content.length);
  arrivals.complete(content.length);
  const read = [Buffer.from((await first).value!)];
  for await (const chunk of reader) read.push(Buffer.from(chunk));
  assert.ok(Buffer.concat(read).equals(content));
  assert.equal(await digest, sha256(content));
  assert.ok(blocks.every(({ users }) => users === 1));
});

test('the digest of what came is told also when nobody reads any more', { timeout: 10_000 }, async () => {
  const content = noise(2 << 20);
  const file = sparseFile(content.length);
  const arrivals = createArrivals(file);
  content.copy(file.content);
  arrivals.written(0, content.length);
  assert.equal(await arrivals.digestSoFar(content.length), sha256(content));
  const broken = createArrivals({ read: () => Promise.reject(new Error('the disk is broken')) });
  broken.written(0, 100);
  await assert.rejects(broken.digestSoFar(100), /the disk is broken/);
});
