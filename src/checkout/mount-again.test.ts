import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromText } from '../core/bytes.ts';
import { isCellarError } from '../core/errors.ts';
import { SysError } from '../sys/errno.ts';
import { getXattr, setXattr } from '../sys/xattr.ts';
import { needs } from '../../test/support/run.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { mountAgain } from './mount-again.ts';
import type { Upper } from './upper.ts';

const origin = 'trusted.overlay.origin';
const stale = 116;

test(
  'the handle of a root is forgotten for a kernel that refuses it',
  { skip: needs({ root: true }) },
  () => {
    using scratch = makeScratch('again');
    const upper = makeUpper(scratch.path);
    let tries = 0;
    mountAgain('/there', upper, () => {
      tries++;
      if (getXattr(upper.upper, origin) !== undefined) throw new SysError(stale, { syscall: 'mount' });
    });
    assert.equal(tries, 2);
  },
);

test('those of hard links are not', { skip: needs({ root: true }) }, () => {
  using scratch = makeScratch('again');
  const upper = makeUpper(scratch.path);
  writeFileSync(join(scratch.path, 'work/index/00fb'), '');
  const refuse = (): never => {
    throw new SysError(stale, { syscall: 'mount' });
  };
  assert.throws(
    () => mountAgain('/there', upper, refuse),
    (error) => isCellarError(error, 'E_CHECKOUT_KERNEL'),
  );
  assert.notEqual(getXattr(upper.upper, origin), undefined);
});

test('any other failure is what it is', () => {
  const busy = new SysError(16, { syscall: 'mount' });
  const refuse = (): never => {
    throw busy;
  };
  assert.throws(() => mountAgain('/there', undefined, refuse), busy);
});

function makeUpper(directory: string): Upper {
  for (const name of ['upper', 'work/index']) mkdirSync(join(directory, name), { recursive: true });
  const upper = { upper: fromText(join(directory, 'upper')), work: fromText(join(directory, 'work')) };
  setXattr(upper.upper, origin, 'a handle');
  return upper;
}
