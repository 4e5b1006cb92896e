import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { scratchDirectory } from '../../test/support/filesystem.ts';
import { flock, tryFlock } from './flock.ts';
import { syncfs, syncfsAsync } from './syncfs.ts';

test('shared locks coexist, an exclusive one waits for them and can be cancelled', async () => {
  using scratch = scratchDirectory();
  const file = join(scratch.path, 'lock');
  const [a, b] = [openSync(file, 'w'), openSync(file, 'r')];
  assert.equal(tryFlock(a, 'shared'), true);
  assert.equal(tryFlock(b, 'shared'), true);
  closeSync(b);
  const c = openSync(file, 'r');
  assert.equal(tryFlock(c, 'exclusive'), false);
  await assert.rejects(flock(c, 'exclusive', { signal: AbortSignal.timeout(20) }), { code: 'E_CANCELLED' });
  setTimeout(() => closeSync(a), 20);
  await flock(c, 'exclusive');
  const d = openSync(file, 'r');
  assert.equal(tryFlock(d, 'shared'), false);
  closeSync(c);
  assert.equal(tryFlock(d, 'shared'), true);
  closeSync(d);
});

test('a bad descriptor is an error, not "locked"', () => {
  assert.throws(() => tryFlock(1 << 20, 'shared'), { code: 'EBADF' });
});

test('syncfs, on this thread and beside it', async () => {
  using scratch = scratchDirectory();
  const fd = openSync(scratch.path, 'r');
  syncfs(fd);
  await syncfsAsync(fd);
  closeSync(fd);
  assert.throws(() => syncfs(1 << 20), { code: 'EBADF' });
  await assert.rejects(syncfsAsync(1 << 20), { code: 'EBADF' });
});
