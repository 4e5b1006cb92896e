/** What a switch that was killed half-way leaves is taken away, and what lay there before any deployment never is. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { isCellarError } from '../../core/errors.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { versionedPath, type VersionedPath } from './versioned-path.ts';

const [first, second] = ['1-00000001', '2-00000002'];

function withVersions(path: string): VersionedPath {
  const versions = versionedPath(path, { force: true });
  versions.prepare();
  for (const id of [first, second]) {
    mkdirSync(versions.place(id));
    writeFileSync(join(versions.place(id), 'file'), id);
  }
  return versions;
}

test('unfinished links and records go, versions and strangers stay', () => {
  using scratch = makeScratch('versioned');
  const versions = withVersions(join(scratch.path, 'app'));
  versions.activate(first);
  const hidden = join(scratch.path, '.app.cellar');
  symlinkSync(`.app.cellar/${second}`, join(hidden, '.next-0123abcd'));
  writeFileSync(join(hidden, `.${second}.json.0123456789ab`), '{');
  writeFileSync(join(hidden, '.notes'), 'of the user');
  versions.tidy();
  assert.deepEqual(readdirSync(hidden).sort(), ['.notes', first, second]);
  assert.equal(versions.look().active, first);
});

test('a directory that was there is kept in the step that puts a version in its place', () => {
  using scratch = makeScratch('versioned');
  const path = join(scratch.path, 'app');
  mkdirSync(path);
  writeFileSync(join(path, 'own'), 'mine');
  const versions = withVersions(path);
  const original = join(scratch.path, '.app.cellar/original');

  // Killed before the two changed places.
  symlinkSync(`.app.cellar/${first}`, original);
  versions.tidy();
  assert.ok(!existsSync(original));
  assert.equal(readFileSync(join(path, 'own'), 'utf8'), 'mine');
  symlinkSync(`.app.cellar/${first}`, original);
  versions.activate(second);
  assert.equal(versions.look().active, second);
  assert.equal(readFileSync(join(original, 'own'), 'utf8'), 'mine');
  versions.tidy();
  assert.equal(readFileSync(join(original, 'own'), 'utf8'), 'mine');

  versions.deactivate();
  assert.equal(readFileSync(join(path, 'own'), 'utf8'), 'mine');
  // Killed after they changed places back.
  symlinkSync(`.app.cellar/${first}`, original);
  versions.tidy();
  assert.ok(!existsSync(original));
});

test('a second stranger is refused: only one can be kept', () => {
  using scratch = makeScratch('versioned');
  const path = join(scratch.path, 'app');
  writeFileSync(path, 'mine');
  const versions = withVersions(path);
  versions.activate(first);
  versions.deactivate();
  assert.equal(readFileSync(path, 'utf8'), 'mine');
  const original = join(scratch.path, '.app.cellar/original');
  writeFileSync(original, 'kept before');
  assert.throws(
    () => versions.activate(first),
    (error) => isCellarError(error, 'E_TARGET_FOREIGN'),
  );
  assert.deepEqual([readFileSync(path, 'utf8'), readFileSync(original, 'utf8')], ['mine', 'kept before']);
});

test('the directory of versions lets everybody through, and keeps what else it grants', () => {
  using scratch = makeScratch('versioned');
  const { prepare } = versionedPath(join(scratch.path, 'app'), { force: false });
  const hidden = join(scratch.path, '.app.cellar');
  const modeAfter = (): number => {
    prepare();
    return statSync(hidden).mode & 0o7777;
  };
  const umask = process.umask(0o077);
  try {
    assert.equal(modeAfter(), 0o755);
  } finally {
    process.umask(umask);
  }
  chmodSync(hidden, 0o700);
  assert.equal(modeAfter(), 0o755);
  chmodSync(hidden, 0o2775);
  assert.equal(modeAfter(), 0o2775);
});
