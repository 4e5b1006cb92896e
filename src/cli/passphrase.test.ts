import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { isCellarError } from '../core/errors.ts';
import { readPassphrase } from './passphrase.ts';

test('from a file before the environment, which does not keep it', () => {
  using scratch = makeScratch('passphrase');
  const file = join(scratch.path, 'file');
  writeFileSync(file, 'from the file\r\n');
  const env = { CELLAR_KEY_PASSPHRASE: 'from the environment', OTHER: 'x' };
  assert.equal(readPassphrase(file, env), 'from the file');
  assert.deepEqual(env, { OTHER: 'x' });
  assert.equal(readPassphrase(undefined, { CELLAR_KEY_PASSPHRASE: ' spaces ' }), ' spaces ');
  assert.equal(readPassphrase(undefined, { CELLAR_KEY_PASSPHRASE: '' }), undefined);
  assert.equal(readPassphrase(undefined, {}), undefined);
  assert.throws(
    () => readPassphrase(join(scratch.path, 'nothing'), {}),
    (error) => isCellarError(error, 'E_USAGE'),
  );
});
