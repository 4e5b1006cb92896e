import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needs } from '../../test/support/run.ts';
import { runInSandbox } from './sandbox.ts';

const skip = needs({ root: true, programs: ['setpriv', 'unshare'] });

test('what cannot be taken of the output ends the command, and is thrown', { skip }, async () => {
  const full = new Error('no space left');
  let taken = 0;
  const running = runInSandbox({
    root: undefined,
    command: ['sh', '-c', 'echo one; while :; do echo more; sleep 0.01; done'],
    environment: { PATH: process.env['PATH'] ?? '' },
    output: () => {
      taken++;
      throw full;
    },
    signal: AbortSignal.timeout(60_000),
  });
  await assert.rejects(running, full);
  assert.equal(taken, 1);
});

test('the exit code is that of the command', { skip }, async () => {
  const request = { root: undefined, environment: { PATH: process.env['PATH'] ?? '' }, output: () => {} };
  const { signal } = new AbortController();
  assert.equal(await runInSandbox({ ...request, command: ['sh', '-c', 'exit 7'], signal }), 7);
});
