import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory, scratchFilesystem } from '../../test/support/filesystem.ts';
import { mountsAt } from './mountinfo.ts';
import { probe } from './probe.ts';
import { filesystemOf } from './filesystem.ts';
import { enableVerity, measureVerity } from './verity.ts';

test('file systems are known by name', { skip: needsRoot }, () => {
  assert.deepEqual(filesystemOf('/proc'), { type: 'proc', network: false });
  for (const type of ['ext4', 'xfs', 'btrfs'] as const) {
    using disk = scratchFilesystem(type);
    assert.deepEqual(filesystemOf(disk.path), { type, network: false });
    const found = probe(disk.path);
    assert.equal(found.reflink.available, type !== 'ext4');
    assert.equal(found.btrfs.available, type === 'btrfs');
    for (const capability of [found.hardlink, found.xattrUser, found.xattrTrusted, found.overlay])
      assert.equal(capability.available, true, capability.reason);
    assert.deepEqual(
      readdirSync(disk.path).filter((name) => name !== 'lost+found'),
      [],
    );
    assert.equal(mountsAt(disk.path, { below: true }).length, 1);
  }
});

test('what cannot be said by name is said by trying, with a reason', () => {
  using scratch = scratchDirectory();
  const { filesystem, ...capabilities } = probe(scratch.path);
  assert.equal(filesystem.network, false);
  for (const { available, reason } of Object.values(capabilities)) {
    assert.equal(typeof available, 'boolean');
    assert.notEqual(reason, '');
  }
  assert.deepEqual(readdirSync(scratch.path), []);
  assert.throws(() => probe('/proc'), { code: 'ENOENT' });
});

test('fs-verity seals a file, where the file system can', { skip: needsRoot }, () => {
  using disk = scratchFilesystem('btrfs');
  const file = `${disk.path}/f`;
  writeFileSync(file, '');
  const fd = openSync(file, 'r');
  assert.equal(measureVerity(fd), undefined);
  if (enableVerity(fd)) {
    // Of an empty file: SHA-256 of the descriptor with a root of zeros, as fsverity(1) says too.
    assert.equal(measureVerity(fd), '3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95');
    assert.throws(() => writeFileSync(file, 'x'), { code: 'EPERM' });
  } else assert.equal(measureVerity(fd), undefined);
  closeSync(fd);
});
