/** A quota holds where a method has one, and is refused, never forgotten, where it has none. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ErrorCode } from '../../src/core/error-registry.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { methodNames } from '../../src/checkout/port.ts';
import { parseMethod } from '../../src/checkout/parse-method.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { release } from '../../src/ops/release.ts';
import { reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { makeLoopFilesystem } from '../support/loopfs.ts';
import { needs, sh, quote } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';

test('methods without quotas refuse one', async () => {
  using scratch = makeScratch('quota');
  const stored = await storeSmall(scratch.path);
  const directory = join(stored.work, 'refused');
  for (const method of methodNames.filter((name) => !['btrfs', 'lvm', 'zfs'].includes(name)))
    await refused(stored, { directory, method, quota: 1 << 20 }, 'E_QUOTA_UNSUPPORTED');
  // The store is on no btrfs here, or on one without quotas.
  await refused(stored, { directory, writable: true, quota: 1 << 20 }, 'E_QUOTA_UNSUPPORTED');
  assert.deepEqual(await checkouts(stored.context), []);
});

test(
  'btrfs holds a snapshot to its quota',
  { skip: needs({ root: true, programs: ['mkfs.btrfs'] }) },
  async () => {
    await using disk = await makeLoopFilesystem({ type: 'btrfs', size: 256 << 20 });
    const stored = await storeSmall(disk.mount);
    const directory = join(stored.work, 'limited');
    const wanted = { directory, method: 'btrfs', writable: true, quota: 8 << 20 } as const;
    await refused(stored, wanted, 'E_QUOTA_UNSUPPORTED');
    await sh(`btrfs quota enable ${quote(disk.mount)}`);
    await checkout(stored.context, { reference, ...wanted });
    writeFileSync(join(directory, 'fits'), Buffer.alloc(2 << 20, 1), { flush: true });
    assert.throws(
      () => {
        for (let count = 0; count < 16; count++)
          writeFileSync(join(directory, `more-${count}`), Buffer.alloc(2 << 20, count), { flush: true });
      },
      // EDQUOT, of which Node knows the number only.
      { errno: -122 },
    );
    await release(stored.context, { directory, force: true });
    assert.deepEqual(await checkouts(stored.context), []);
  },
);

test(
  'a place that is not there is an error of its own',
  { skip: needs({ root: true, programs: ['lvcreate'] }) },
  async () => {
    using scratch = makeScratch('quota');
    const stored = await storeSmall(scratch.path);
    const directory = join(stored.work, 'nowhere');
    await refused(stored, { directory, method: 'lvm:no-such-group' }, 'E_BACKING_MISSING');
    for (const place of ['lvm:--yes', 'lvm:a/b/c', 'lvm:vg/', 'lvm:vg,fs=vfat', 'lvm:vg && x', 'lvm:../vg'])
      await refused(stored, { directory, method: place }, 'E_USAGE');
    assert.deepEqual(await checkouts(stored.context), []);
  },
);

test('only methods that make volumes have a place', () => {
  assert.deepEqual(parseMethod('lvm:vg/pool'), { method: 'lvm', place: 'vg/pool' });
  assert.deepEqual(parseMethod('auto'), { method: 'auto', place: undefined });
  for (const text of ['copy:there', 'nonsense', '', 'constructor'])
    assert.throws(
      () => parseMethod(text),
      (error) => isCellarError(error, 'E_USAGE'),
    );
});

async function storeSmall(parent: string): Promise<StoredTree> {
  const source = join(parent, 'source');
  mkdirSync(source);
  writeFileSync(join(source, 'file'), 'content');
  return await storeTree(parent, source);
}

async function refused(
  stored: StoredTree,
  options: { directory: string; method?: string; writable?: boolean; quota?: number },
  code: ErrorCode,
): Promise<void> {
  await assert.rejects(checkout(stored.context, { reference, ...options }), (error) =>
    isCellarError(error, code),
  );
}
