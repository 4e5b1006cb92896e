import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { isErrno } from './errno.ts';
import { cPath } from './libc.ts';
import { lstatFull } from './stat.ts';

test('a path is checked before C sees it', () => {
  assert.throws(
    () => cPath('/a\0b'),
    (error) => isErrno(error, 'EINVAL'),
  );
  assert.throws(
    () => cPath('a'.repeat(4096)),
    (error) => isErrno(error, 'ENAMETOOLONG'),
  );
  assert.equal(cPath('/b\xff').toString('latin1', 0, 4), '/b\xff\0');
});

test('failures carry errno, call and path', () => {
  assert.throws(() => lstatFull('/proc/nonexistent'), {
    code: 'ENOENT',
    errno: -2,
    syscall: 'statx',
    path: '/proc/nonexistent',
  });
});

test('every worker thread loads its own', async () => {
  const source = `import { lstatFull } from ${JSON.stringify(new URL('stat.ts', import.meta.url).href)};
    import { parentPort } from 'node:worker_threads';
    try { lstatFull('/proc/nonexistent'); } catch (error) { parentPort.postMessage([error.code, lstatFull('/').type]); }`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(source)}`);
  const answers = await Promise.all(
    [1, 2, 3].map(() => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      new Worker(url).once('message', resolve).once('error', reject);
      return promise;
    }),
  );
  for (const answer of answers) assert.deepEqual(answer, ['ENOENT', 0o040000]);
});
