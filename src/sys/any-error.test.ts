import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CellarError } from '../core/errors.ts';
import { asCellarError, explained } from './any-error.ts';

const notFound = new CellarError('E_NOT_FOUND', { details: { reference: 'a:1', store: '/s' } });

test('whatever is thrown becomes one of ours', () => {
  assert.equal(asCellarError(notFound), notFound);
  assert.equal(asCellarError(new DOMException('x', 'AbortError')).code, 'E_CANCELLED');
  const denied = Object.assign(new Error('EACCES: x'), {
    code: 'EACCES',
    errno: -13,
    syscall: 'open',
    path: '/x',
  });
  assert.equal(asCellarError(denied).code, 'E_NOT_ALLOWED');
  const thread = Object.assign(new Error('Worker initialization failure: EMFILE'), {
    code: 'ERR_WORKER_INIT_FAILED',
  });
  assert.equal(asCellarError(thread).code, 'E_TOO_MANY_OPEN');
  const crowded = asCellarError(Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' }));
  assert.equal(crowded.code, 'E_IO');
  assert.match(String(crowded.hint), /ulimit -u/);
  assert.equal(asCellarError('odd').message, 'internal error: odd');
});

test('who goes on after a failure goes on after what the system refused, and not after a mistake of ours', () => {
  const refused = Object.assign(new Error('EISDIR'), { code: 'EISDIR', errno: -21, syscall: 'read' });
  assert.ok(explained(refused) instanceof CellarError);
  const mistake = new TypeError('undefined is not a function');
  assert.equal(explained(mistake), mistake);
  assert.equal(explained(notFound), notFound);
});
