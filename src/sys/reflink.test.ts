import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory, scratchFilesystem } from '../../test/support/filesystem.ts';
import { copyRange, reflink } from './reflink.ts';
import { dataExtents } from './sparse.ts';
import { lstatFull } from './stat.ts';

for (const [type, shares] of [
  ['ext4', false],
  ['xfs', true],
  ['btrfs', true],
] as const)
  test(
    `${type}: reflink is ${shares}; holes are found and copies go around them`,
    { skip: needsRoot },
    () => {
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
      const extents = dataExtents(from, 8 * mebi);
      assert.deepEqual(extents, [
        { offset: mebi, length: mebi },
        { offset: 5 * mebi, length: mebi },
      ]);
      ftruncateSync(to, 0);
      ftruncateSync(to, 8 * mebi);
      for (const { offset, length } of extents) assert.equal(copyRange(from, to, offset, length), length);
      assert.ok(readFileSync(source).equals(readFileSync(target)));
      assert.ok(lstatFull(target).blocks * 512 < 4 * mebi);
      closeSync(from);
      closeSync(to);
    },
  );

test(
  'between file systems bytes are copied; the end of the source is not an error',
  { skip: needsRoot },
  () => {
    using ext4 = scratchFilesystem('ext4', 16);
    using scratch = scratchDirectory();
    const [source, target] = [`${scratch.path}/s`, `${ext4.path}/t`];
    writeFileSync(source, Buffer.alloc(3_000_000, 7));
    const [from, to] = [openSync(source, 'r'), openSync(target, 'w+')];
    assert.equal(reflink(from, to), false);
    assert.equal(copyRange(from, to, 0, 5_000_000), 3_000_000);
    assert.ok(readFileSync(source).equals(readFileSync(target)));
    closeSync(from);
    closeSync(to);
  },
);

test('a file that only answers reads is copied too', () => {
  using scratch = scratchDirectory();
  const [from, to] = [openSync('/proc/self/mountinfo', 'r'), openSync(`${scratch.path}/t`, 'w+')];
  assert.ok(copyRange(from, to, 0, 100) === 100);
  closeSync(from);
  closeSync(to);
});

test('a file without holes is one extent, an empty one none', () => {
  using scratch = scratchDirectory();
  writeFileSync(`${scratch.path}/f`, 'x'.repeat(10_000));
  const fd = openSync(`${scratch.path}/f`, 'r');
  assert.deepEqual(dataExtents(fd, 10_000), [{ offset: 0, length: 10_000 }]);
  assert.deepEqual(dataExtents(fd, 0), []);
  closeSync(fd);
});
