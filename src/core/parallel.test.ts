import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapInOrder, writeBehind } from './parallel.ts';

test('results come in the order of the items, never more at a time than asked for', async () => {
  let [active, most] = [0, 0];
  const doubled = await mapInOrder([5, 1, 3, 2], 2, async (item) => {
    most = Math.max(most, ++active);
    await sleep(item);
    active--;
    return item * 2;
  });
  assert.deepEqual(doubled, [10, 2, 6, 4]);
  assert.equal(most, 2);
});

test('a failure starts nothing more and waits for what is under way', async () => {
  const done: number[] = [];
  const work = mapInOrder([0, 1, 2, 3], 2, async (item) => {
    await sleep(item === 1 ? 20 : 1);
    if (item === 0) throw new Error('lost');
    done.push(item);
  });
  await assert.rejects(work, /lost/);
  assert.deepEqual(done, [1]);
});

test('a chunk is written while the next is made, one at a time and in order', async () => {
  const log: string[] = [];
  async function* chunks(): AsyncGenerator<number> {
    for (const chunk of [1, 2, 3]) {
      log.push(`make ${chunk}`);
      yield chunk;
      await sleep(1);
    }
  }
  await writeBehind(chunks(), async (chunk) => {
    await sleep(20);
    log.push(`wrote ${chunk}`);
  });
  assert.deepEqual(log, ['make 1', 'make 2', 'wrote 1', 'make 3', 'wrote 2', 'wrote 3']);
});

test('no more writes are under way than asked for, and all are waited for when one fails', async () => {
  let [active, most] = [0, 0];
  const ended: number[] = [];
  const work = writeBehind(
    upTo(9),
    async (chunk) => {
      most = Math.max(most, ++active);
      await sleep(chunk === 4 ? 1 : 10);
      active--;
      ended.push(chunk);
      if (chunk === 4) throw new Error('full');
    },
    2,
  );
  await assert.rejects(work, /full/);
  assert.equal(most, 2);
  assert.equal(active, 0);
  assert.ok(!ended.includes(7));
});

test('a write that fails ends it before another is begun', async () => {
  const begun: number[] = [];
  const work = writeBehind(upTo(9), async (chunk) => {
    begun.push(chunk);
    await sleep(1);
    throw new Error('full');
  });
  await assert.rejects(work, /full/);
  assert.deepEqual(begun, [1]);
});

test('where a chunk cannot be made, the write before it is waited for', async () => {
  const written: number[] = [];
  const work = writeBehind(upTo(2, new Error('no third')), async (chunk) => {
    await sleep(5);
    written.push(chunk);
  });
  await assert.rejects(work, /no third/);
  assert.deepEqual(written, [1, 2]);
});

async function* upTo(last: number, then?: Error): AsyncGenerator<number> {
  for (let chunk = 1; chunk <= last; chunk++) yield await Promise.resolve(chunk);
  if (then !== undefined) throw then;
}
