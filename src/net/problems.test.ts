import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { wireFailure } from './problems.ts';

test('too few descriptors are no problem of the server, and are not tried again', () => {
  const error = Object.assign(new Error('connect EMFILE 192.0.2.1:80 - Local (undefined:undefined)'), {
    ...{ code: 'EMFILE', errno: -24, syscall: 'connect' },
  });
  const url = 'http://reader:secret@192.0.2.1/x';
  const failure = wireFailure(error, { url, signal: new AbortController().signal, timedOut: undefined });
  assert.ok(isCellarError(failure, 'E_TOO_MANY_OPEN'));
  assert.doesNotMatch(JSON.stringify([failure, failure.message]), /secret/);
});
