import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeScratch } from '../../../test/support/scratch.ts';
import { createIngestPool } from './pool.ts';

test('workers start when content is announced, and not for a transaction that brings none', async () => {
  using scratch = makeScratch('pool');
  const [objects, staging] = [join(scratch.path, 'objects'), join(scratch.path, 'staging')];
  for (const directory of [objects, staging]) mkdirSync(directory);
  const options = { objects, staging, privileged: false, damaged: [], storeIsEmpty: true, workers: 2 };
  {
    await using pool = createIngestPool(options);
    await pool.drain();
    await pool.finish();
    assert.equal(workerThreads(), 0);
  }
  {
    await using pool = createIngestPool(options);
    pool.prepare();
    pool.prepare();
    while (workerThreads() < 2) await setTimeout(1);
    await pool.finish();
  }
  assert.equal(workerThreads(), 0);
});

/** Node names its threads. */
function workerThreads(): number {
  return readdirSync('/proc/self/task').filter(
    (id) => readFileSync(`/proc/self/task/${id}/comm`, 'utf8') === 'WorkerThread\n',
  ).length;
}
