import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { drained } from './drained.ts';

/** A stream that takes nothing more until somebody reads. */
function full(): PassThrough {
  const stream = new PassThrough({ highWaterMark: 1 });
  assert.equal(stream.write('more than it likes'), false);
  return stream;
}

function listeners(stream: PassThrough): number[] {
  return ['drain', 'close', 'error'].map((event) => stream.listenerCount(event));
}

test('it resolves when the reader goes on, or is gone, and leaves no listener behind', async () => {
  for (const goOn of [
    (stream: PassThrough) => void stream.resume(),
    (stream: PassThrough) => void stream.destroy(),
  ]) {
    const stream = full();
    const before = listeners(stream);
    const waiting = drained(stream);
    await setImmediate();
    goOn(stream);
    await waiting;
    assert.deepEqual(listeners(stream), before);
  }
  await drained(new PassThrough());
});

test('what the stream met is thrown, and cancelling ends the wait', async () => {
  const broken = full();
  const waiting = drained(broken);
  broken.destroy(new Error('no space'));
  await assert.rejects(waiting, /no space/);

  const stalled = full();
  const before = listeners(stalled);
  const controller = new AbortController();
  const cancelled = drained(stalled, controller.signal);
  controller.abort();
  await assert.rejects(cancelled, { code: 'E_CANCELLED' });
  await assert.rejects(drained(stalled, controller.signal), { code: 'E_CANCELLED' });
  assert.deepEqual(listeners(stalled), before);
});
