/** A million files: peak memory at most 1 GB, time linear. Only in the soak run: it takes minutes. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { portion, run, soak } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

test('a million files', { skip: soak ? false : 'only in the soak run' }, async (context) => {
  using scratch = makeScratch('scale');
  const bench = fileURLToPath(new URL('../../bench/scale.ts', import.meta.url));
  const done = await run([process.execPath, bench], {
    env: { BENCH_WORK: scratch.path, BENCH_FILES: String(portion(1_000_000, 0)) },
  });
  context.diagnostic(done.stdout.toString());
  assert.equal(done.code, 0, done.stdout.toString() + done.stderr);
});
