import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { noXattrs, type Entry, type Xattrs } from '../tree/entry.ts';
import { parseIdMap, shiftXattrs } from './idmap.ts';
import { createUnprojection } from './unproject.ts';

const idmap = '0:100000:65536';
const row = { idmap, mtime: 'keep', privileged: true, uid: 0, gid: 0 } as const;

/** `struct vfs_ns_cap_data`: revision 2 without the root of a namespace, revision 3 with it. */
function capability(rootId?: number): Xattrs {
  const bytes = Buffer.alloc(rootId === undefined ? 20 : 24);
  bytes.writeUInt32LE(rootId === undefined ? 0x02000001 : 0x03000001, 0);
  bytes.writeUInt32LE(0x2000, 4);
  if (rootId !== undefined) bytes.writeUInt32LE(rootId, 20);
  return [['security.capability', bytes.toString('latin1')]];
}

const shift = (xattrs: Xattrs): Xattrs => shiftXattrs(xattrs, parseIdMap(idmap), '/bin/ping');

function restore(xattrs: Xattrs): Xattrs {
  const meta = { mode: 0o755, uid: 100_000, gid: 100_000, mtime: 0, mtimeNsec: 0, size: 0, rdev: 0 };
  const found: Entry = { path: '/bin/ping', type: 'file', ...meta, xattrs };
  return createUnprojection(row).restore(found, undefined).xattrs;
}

test('a capability goes to the root of the container, and comes back', () => {
  assert.deepEqual(shift(capability()), capability(100_000));
  assert.deepEqual(shift(capability(5)), capability(100_005));
  assert.deepEqual(restore(capability(100_000)), capability());
  assert.deepEqual(restore(capability(100_005)), capability(5));
  assert.deepEqual(restore(noXattrs), noXattrs);
});

test('one for the root of another namespace is refused, whatever its number', () => {
  for (const rootId of [65_536, 0xffff_ffff])
    assert.throws(
      () => shift(capability(rootId)),
      (error) => isCellarError(error, 'E_USAGE'),
    );
  for (const rootId of [5, 99_999, 165_536, 0xffff_ffff])
    assert.throws(
      () => restore(capability(rootId)),
      (error) => isCellarError(error, 'E_TREE_INVALID'),
    );
});
