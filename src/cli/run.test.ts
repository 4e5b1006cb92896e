import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

test('a wait that nothing ends is an internal error, and not the exit code of a full disk', () => {
  const script = `
    process.stdout.write = () => false;
    Object.defineProperty(process.stdout, 'writableNeedDrain', { value: true });
    const { main } = await import(${JSON.stringify(new URL('./run.ts', import.meta.url).href)});
    await main(['version', '--json']);`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /error\[E_INTERNAL\]/);
  const { type, code, exitCode } = JSON.parse(stdout) as Record<string, unknown>;
  assert.deepEqual([type, code, exitCode], ['error', 'E_INTERNAL', 1]);
});
