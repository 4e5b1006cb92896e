import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { findProblem } from './canonical.ts';
import { composeTrees, findConflicts, type Device, type Part } from './compose.ts';
import { impliedDirectory, type Entry } from './entry.ts';

const file = (path: string, digit = 'a', mtime = 0): Entry => ({
  ...impliedDirectory(path),
  type: 'file',
  size: 1,
  digest: digit.repeat(64),
  mtime,
});

const part = (name: string, ...entries: Entry[]): Part => ({
  name,
  entries: [impliedDirectory('/'), ...entries],
});

const device: Device = { type: 'char', major: 1, minor: 3, uid: 0, gid: 5, mode: 0o666, path: '/dev/null' };

test('a union, in which directories and equal files may overlap', () => {
  const a = part('a', impliedDirectory('/etc'), file('/etc/a'), file('/etc/both', 'b', 1));
  const b = part(
    'b',
    { ...impliedDirectory('/etc'), mode: 0o700 },
    file('/etc/b'),
    file('/etc/both', 'b', 2),
  );
  const { entries, conflicts } = composeTrees([a, b], { onConflict: 'error' });
  assert.equal(findProblem(entries), undefined);
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['/', '/etc', '/etc/a', '/etc/b', '/etc/both'],
  );
  assert.equal(entries[1]?.mode, 0o700);
  assert.equal(entries[4]?.mtime, 2);
  assert.deepEqual(conflicts, []);
  const first = composeTrees([a, b], { onConflict: 'first' }).entries;
  assert.deepEqual([first[1]?.mode, first[4]?.mtime], [0o755, 1]);
});

test('all conflicts are listed at once, or decided', () => {
  const a = part('a', file('/x', '1'), file('/y', '1'));
  const b = part('b', file('/x', '2'), impliedDirectory('/y'), file('/y/below'));
  const c = part('c', impliedDirectory('/y'), file('/y/below', '3'));
  assert.throws(
    () => composeTrees([a, b, c], { onConflict: 'error' }),
    (error) =>
      isCellarError(error, 'E_MERGE_CONFLICT') &&
      JSON.stringify(error.details['conflicts']) === '["/x (a, b)","/y (a, b, c)"]' &&
      error.hint?.includes('--on-conflict') === true,
  );
  const last = composeTrees([a, b, c], { onConflict: 'last' });
  assert.deepEqual(
    last.entries.map(({ path, digest }) => path + (digest?.[0] ?? '/')),
    ['//', '/x2', '/y/', '/y/below3'],
  );
  const first = composeTrees([a, b, c], { onConflict: 'first' });
  assert.deepEqual(
    first.entries.map(({ path, digest }) => path + (digest?.[0] ?? '/')),
    ['//', '/x1', '/y1'],
  );
  assert.equal(first.conflicts.length, 2);
});

test('devices come with the directories they need, and leave those of the parts alone', () => {
  const fresh = composeTrees([part('a')], { devices: [device], onConflict: 'error' }).entries;
  assert.equal(findProblem(fresh), undefined);
  assert.deepEqual(
    fresh.map(({ path, type, rdev }) => [path, type, rdev]),
    [
      ['/', 'directory', 0],
      ['/dev', 'directory', 0],
      ['/dev/null', 'char', 0x103],
    ],
  );
  const own = { ...impliedDirectory('/dev'), mode: 0o700 };
  const kept = composeTrees([part('a', own)], { devices: [device], onConflict: 'error' }).entries;
  assert.equal(kept[1]?.mode, 0o700);
  const onFile = [part('a', file('/dev'))];
  assert.throws(() => composeTrees(onFile, { devices: [device], onConflict: 'error' }), /\/dev is in more/);
  assert.equal(composeTrees(onFile, { devices: [device], onConflict: 'first' }).entries.length, 2);
});

test('what lies below a conflict is not listed again', () => {
  const conflicts = findConflicts([
    part('a', impliedDirectory('/d'), file('/d/e', '1')),
    part('b', file('/d'), file('/d/e', '2')),
  ]);
  assert.deepEqual(conflicts, [{ path: '/d', parts: ['a', 'b'] }]);
});
