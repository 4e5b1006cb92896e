import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { DeploymentRow } from '../../store/deployments.ts';
import { scratchDirectory } from '../../../test/support/filesystem.ts';
import { runHandlers } from './handlers.ts';

function rowWith(onChange: string): DeploymentRow {
  return {
    target: 'dir:/x',
    version: 1,
    handlers: { onChange, state: 'pending' },
  } as unknown as DeploymentRow;
}

test('a signal that ends the command and us is a cancellation, also when the command gets it first', async () => {
  using scratch = scratchDirectory();
  const file = join(scratch.path, 'pid');
  const { signal, abort } = cancellation();
  const row = rowWith(`echo $$ >${file}.new; mv ${file}.new ${file}; kill -HUP $$`);
  const running = runHandlers(row, { path: '/x', signal, events: () => undefined });
  const ended = assert.rejects(running, { code: 'E_CANCELLED' });
  while (!existsSync(file)) await setTimeout(1);
  while (existsSync(`/proc/${readFileSync(file, 'utf8').trim()}`)) await setTimeout(1);
  // Its end is known within a turn of the loop; no clock is asked, since a slow machine has no time to lose here.
  await setImmediate();
  await setImmediate();
  abort();
  await ended;
});

test('a command that a signal ended, and not us, has failed', async () => {
  const { signal } = cancellation();
  const running = runHandlers(rowWith('kill -HUP $$'), { path: '/x', signal, events: () => undefined });
  await assert.rejects(running, { code: 'E_DEPLOY_HANDLER' });
});

function cancellation() {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
