import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory, scratchFilesystem } from '../../test/support/filesystem.ts';
import { reflink } from './reflink.ts';
import { dataSegments } from './sparse.ts';

for (const [type, shares] of [
  ['ext4', false],
  ['xfs', true],
  ['btrfs', true],
] as const)
  test(`${type}: reflink is ${shares}; holes are found`, { skip: needsRoot }, () => {
    using scratch = scratchFilesystem(type);
    const [source, target] = [`${scratch.path}/s`, `${scratch.path}/t`];
    writeFileSync(source, 'content');
    const [from, to] = [openSync(source, 'r+'), openSync(target, 'w+')];
    assert.equal(reflink(from, to), shares);
    assert.equal(readFileSync(target, 'utf8'), shares ? 'content' : '');

    const mebi = 1 << 20;
    ftruncateSync(from, 0);
    ftruncateSync(from, 8 * mebi);
    writeSync(from, Buffer.alloc(mebi, 1), 0, mebi, mebi);
    writeSync(from, Buffer.alloc(mebi, 2), 0, mebi, 5 * mebi);
    const extents = dataSegments(from, 8 * mebi);
    assert.deepEqual(extents, [
      { offset: mebi, length: mebi },
      { offset: 5 * mebi, length: mebi },
    ]);
    closeSync(from);
    closeSync(to);
  });

test('between file systems nothing is shared', { skip: needsRoot }, () => {
  using ext4 = scratchFilesystem('ext4', 16);
  using scratch = scratchDirectory();
  const [source, target] = [`${scratch.path}/s`, `${ext4.path}/t`];
  writeFileSync(source, 'x');
  const [from, to] = [openSync(source, 'r'), openSync(target, 'w+')];
  assert.equal(reflink(from, to), false);
  assert.equal(readFileSync(target, 'utf8'), '');
  closeSync(from);
  closeSync(to);
});

test('a file without holes is one extent, an empty one none', () => {
  using scratch = scratchDirectory();
  writeFileSync(`${scratch.path}/f`, 'x'.repeat(10_000));
  const fd = openSync(`${scratch.path}/f`, 'r');
  assert.deepEqual(dataSegments(fd, 10_000), [{ offset: 0, length: 10_000 }]);
  assert.deepEqual(dataSegments(fd, 0), []);
  closeSync(fd);
});
