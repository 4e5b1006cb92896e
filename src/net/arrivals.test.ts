import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { sha256 } from '../core/digest.ts';
import { makeArrivals } from './arrivals.ts';

test('a read that fails because the file was cut under it is begun again', async () => {
  const content = Buffer.from('another version');
  const first = Promise.withResolvers<Buffer>();
  let reads = 0;
  const arrivals = makeArrivals({
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
  const arrivals = makeArrivals({ read: () => Promise.reject(new Error('the disk is broken')) });
  arrivals.written(0, 100);
  await assert.rejects(arrivals.digest(100), /the disk is broken/);
});
