import assert from 'node:assert/strict';
import { statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratch } from '../../test/support/scratch.ts';
import { makeDirectory } from './directory.ts';

test('parents are made, and what is there stays', () => {
  using scratch = makeScratch('mkdir');
  const path = join(scratch.path, 'a/b/c');
  makeDirectory(path, 0o700);
  makeDirectory(path, 0o755);
  for (const made of ['a', 'a/b', 'a/b/c'])
    assert.equal(statSync(join(scratch.path, made)).mode & 0o777, 0o700);
  symlinkSync('a', join(scratch.path, 'link'));
  makeDirectory(join(scratch.path, 'link'), 0o700);
});

test('what is in the way is named', () => {
  using scratch = makeScratch('mkdir');
  const file = join(scratch.path, 'file');
  writeFileSync(file, '');
  assert.throws(() => makeDirectory(file, 0o700), { code: 'EEXIST' });
  assert.throws(() => makeDirectory(join(file, 'below'), 0o700), { code: 'ENOTDIR' });
  symlinkSync('nowhere', join(scratch.path, 'dangling'));
  assert.throws(() => makeDirectory(join(scratch.path, 'dangling'), 0o700), { code: 'EEXIST' });
  assert.throws(() => makeDirectory('', 0o700), { code: 'ENOENT' });
});
