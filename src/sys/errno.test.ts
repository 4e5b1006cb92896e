import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { needs } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { CellarError } from '../core/errors.ts';
import { SysError, errnos, isErrno, reasonOf, toCellarError } from './errno.ts';

const context = { doing: 'writing objects', path: '/store' };

test('errors of system calls become what a user can act on', () => {
  const codes = {
    ENOSPC: 'E_NO_SPACE',
    EDQUOT: 'E_QUOTA',
    EMFILE: 'E_TOO_MANY_OPEN',
    EACCES: 'E_NOT_ALLOWED',
  };
  for (const [name, code] of Object.entries({ ...codes, EROFS: 'E_NOT_ALLOWED', EIO: 'E_IO' })) {
    const error = new SysError(errnos[name as 'EIO'], { syscall: 'write', path: '/store/x' });
    assert.equal(error.code, name);
    assert.equal(toCellarError(error, context).code, code);
  }
});

test("Node's own errors are understood, also where libuv has no name for the errno", () => {
  const quota = Object.assign(new Error('Unknown system error -122'), { errno: -122, syscall: 'write' });
  assert.equal(toCellarError(quota, context).code, 'E_QUOTA');
  assert.throws(
    () => readFileSync('/proc/nonexistent'),
    (error) => isErrno(error, 'ENOENT') && !isErrno(error, 'EIO'),
  );
});

test(
  'what rmSync has only the words of the C library for is understood',
  { skip: needs({ root: true }) },
  () => {
    using scratch = makeScratch('errno');
    const place = join(scratch.path, 'mounted');
    mkdirSync(place);
    execFileSync('mount', ['-t', 'tmpfs', 'none', place]);
    symlinkSync('nowhere', join(place, 'link'));
    execFileSync('mount', ['-o', 'remount,ro', place]);
    const removing = (path: string) => (): void => rmSync(path, { recursive: true, force: true });
    assert.throws(
      removing(join(place, 'link')),
      (error) => isErrno(error, 'EROFS') && reasonOf(error) === 'read-only file system',
    );
  },
);

test('ours pass through, the unexpected is internal, an abort is a cancellation', () => {
  const ours = new CellarError('E_USAGE');
  assert.equal(toCellarError(ours, context), ours);
  assert.equal(toCellarError(new TypeError('x'), context).code, 'E_INTERNAL');
  assert.equal(toCellarError(AbortSignal.abort().reason, context).code, 'E_CANCELLED');
});

test('of errors on the way out the first is told', () => {
  const first = Object.assign(new Error('full'), { errno: -28, code: 'ENOSPC', syscall: 'write' });
  const error = new SuppressedError(
    new Error('while closing'),
    new SuppressedError(new Error('other'), first),
  );
  assert.equal(toCellarError(error, { doing: 'writing', path: '/x' }).code, 'E_NO_SPACE');
});

test('what went wrong is told without the names of errno, call and temporary file', () => {
  const ours = new SysError(errnos.EACCES, { syscall: 'mkdir', path: '/store/.x' });
  assert.equal(reasonOf(ours), 'permission denied');
  assert.equal(reasonOf(new SysError(errnos.EINVAL, { syscall: 'fsopen', remark: 'no upper' })), 'no upper');
  const { message } = toCellarError(ours, context);
  assert.equal(message, 'writing objects /store is not permitted: permission denied');
});
