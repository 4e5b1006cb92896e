/** This file is the thread's module as well. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { isMainThread, parentPort } from 'node:worker_threads';
import { setTimes } from './metadata.ts';
import { endWorker, isEnding, serveMessages, startWorker } from './worker-thread.ts';

if (isMainThread) {
  test('a thread within native calls ends without taking the process with it', async () => {
    for (let round = 0; round < 20; round++) {
      const thread = startWorker(new URL(import.meta.url));
      thread.worker.postMessage('call');
      await once(thread.worker, 'message');
      await sleep(Math.random() * 3);
      await endWorker(thread);
      assert.equal(thread.worker.threadId, -1);
      await endWorker(thread);
    }
  });

  test('what is queued is not done any more', async () => {
    const thread = startWorker(new URL(import.meta.url));
    thread.worker.postMessage('call');
    await once(thread.worker, 'message');
    let more = 0;
    thread.worker.on('message', () => more++);
    thread.worker.postMessage('call');
    await endWorker(thread);
    assert.equal(more, 0);
  });

  test('a thread that failed', async () => {
    const thread = startWorker(new URL(import.meta.url));
    thread.worker.postMessage('fail');
    const [error] = (await once(thread.worker, 'error')) as [Error];
    assert.equal(error.message, 'as told');
    await endWorker(thread);
  });
} else {
  serveMessages((message: 'call' | 'fail') => {
    if (message === 'fail') throw new Error('as told');
    parentPort!.postMessage('calling');
    while (!isEnding()) setTimesOfNothing();
  });
}

/** A native call that fails, so that there is an error to be made of it each time. */
function setTimesOfNothing(): void {
  try {
    setTimes(-1, { mtime: 0, mtimeNsec: 0 });
  } catch {
    // EBADF
  }
}
