/**
 * A real Debian root file system, checked out by every method that serves here, equals its source in every stat field,
 * xattr and byte. Hard-link checkouts excepted: link counts, and times under --mtime=clamp.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MethodName } from '../../src/checkout/port.ts';
import { clampTime } from '../../src/store/variants.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { release } from '../../src/ops/release.ts';
import { differences, snapshot, type Field, type Snapshot } from '../support/compare.ts';
import { reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { debianRoot } from '../support/debian-root.ts';
import { needsRoot } from '../support/filesystem.ts';
import { makeLoopFilesystem, type LoopFilesystem, type LoopType } from '../support/loopfs.ts';
import { hasPrograms } from '../support/run.ts';

interface Case {
  readonly method: MethodName;
  readonly writable: boolean;
  readonly mtime?: 'clamp';
  /** What the method does not keep. */
  readonly except?: readonly Field[];
}

const perFilesystem: Readonly<Partial<Record<LoopType, readonly Case[]>>> = {
  ext4: [
    { method: 'composefs', writable: false },
    { method: 'composefs', writable: true },
    { method: 'overlay', writable: true, except: ['nlink'] },
    { method: 'hardlink', writable: false, except: ['nlink', 'firstName'] },
    { method: 'hardlink', writable: false, mtime: 'clamp', except: ['nlink', 'firstName', 'mtime'] },
    { method: 'copy', writable: true },
  ],
  xfs: [{ method: 'reflink', writable: true }],
  btrfs: [{ method: 'btrfs', writable: true }],
};

for (const [type, cases] of Object.entries(perFilesystem) as [LoopType, readonly Case[]][]) {
  const missing = type !== 'ext4' && !hasPrograms(`mkfs.${type}`) ? `needs mkfs.${type}` : needsRoot;
  describe(`a Debian root file system on ${type}`, { skip: missing }, () => {
    let disk: LoopFilesystem;
    let original: Snapshot;
    let stored: StoredTree;
    before(async () => {
      const { path } = await debianRoot();
      disk = await makeLoopFilesystem({ type, size: 8 * 2 ** 30 });
      original = await snapshot(path);
      stored = await storeTree(disk.mount, path);
    });
    after(async () => {
      await disk[Symbol.asyncDispose]();
    });

    for (const { method, writable, mtime = 'keep', except = [] } of cases) {
      test(`${method}${writable ? ', writable' : ''}${mtime === 'clamp' ? ', one time' : ''}`, async () => {
        const directory = join(stored.work, 'checkout');
        await checkout(stored.context, { reference, directory, method, writable, mtime });
        const found = await snapshot(directory);
        const ignoreXattr = (name: string): boolean => name.startsWith('trusted.SGI_ACL_');
        assert.deepEqual(differences(original, found, { ignore: except, ignoreXattr }).slice(0, 20), []);
        if (mtime === 'clamp')
          for (const { mtime: time } of found.values())
            assert.equal(time, BigInt(clampTime) * 1_000_000_000n);
        await release(stored.context, { directory });
      });
    }

    test(
      'composefs refuses one time, which only inodes of its own can have',
      { skip: type === 'ext4' ? false : 'once, on ext4, is enough' },
      async () => {
        const options = {
          reference,
          directory: join(stored.work, 'no'),
          method: 'composefs',
          mtime: 'clamp',
        } as const;
        await assert.rejects(checkout(stored.context, options), (error) =>
          isCellarError(error, 'E_METHOD_UNAVAILABLE'),
        );
      },
    );
  });
}
