import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { mapInOrder } from './parallel.ts';

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
