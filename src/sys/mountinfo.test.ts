import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory } from '../../test/support/filesystem.ts';
import { fromText, toBytes } from '../core/bytes.ts';
import { makedev } from '../core/rdev.ts';
import { bindMount } from './mount.ts';
import { unmount } from './mount-api.ts';
import { mountInfo, mountsAt } from './mountinfo.ts';
import { parseMountInfo } from './mountinfo.ts';
import { lstatFull } from './stat.ts';

test('a line of the manual page, with and without optional fields', () => {
  const [line, overlay] = parseMountInfo(
    '36 35 98:0 /mnt1 /mnt\\0402\\134 rw,noatime master:1 unbindable - ext3 /dev/ro\\011ot rw,errors=continue\n' +
      '40 35 0:33 / /o ro - overlay overlay ro,lowerdir+=/a\\040b\n',
  );
  assert.deepEqual(line, {
    id: 36,
    parent: 35,
    dev: makedev(98, 0),
    root: '/mnt1',
    mountPoint: '/mnt 2\\',
    options: ['rw', 'noatime'],
    superOptions: ['rw', 'errors=continue'],
    type: 'ext3',
    source: '/dev/ro\tot',
    propagation: ['master:1', 'unbindable'],
  });
  assert.deepEqual(overlay?.propagation, []);
  assert.deepEqual(overlay?.superOptions, ['ro', 'lowerdir+=/a b']);
});

test('the kernel’s own list has the root and agrees with stat', () => {
  assert.ok(mountInfo().some(({ mountPoint }) => mountPoint === '/proc'));
  assert.equal(mountsAt('/proc').at(-1)?.dev, lstatFull('/proc').dev);
});

test('a mount point with any bytes comes back as it was given', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  const point = fromText(`${scratch.path}/a b\t#\n\\ é`) + '\xff';
  mkdirSync(toBytes(point));
  bindMount(scratch.path, point);
  try {
    assert.equal(mountsAt(point).length, 1);
    assert.equal(mountsAt(scratch.path, { below: true }).length, 1);
    assert.equal(lstatFull(point).mountRoot, true);
    assert.equal(lstatFull(point).dev, lstatFull(scratch.path).dev);
  } finally {
    assert.equal(unmount(point), true);
  }
  assert.equal(unmount(point), false);
});
