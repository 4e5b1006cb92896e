/** Which metadata an object's inode may carry: that of one entry as a whole, and no attribute that none has. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, lutimesSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot } from '../../../test/support/filesystem.ts';
import { makeScratch } from '../../../test/support/scratch.ts';
import { storeImage } from '../../../test/support/stored-image.ts';
import { fromText } from '../../core/bytes.ts';
import { sha256 } from '../../core/digest.ts';
import { removeXattr, setXattr } from '../../sys/xattr.ts';
import { impliedDirectory, noXattrs, type Entry, type InodeMeta } from '../../tree/entry.ts';
import { objectFile } from '../layout.ts';
import { openStore, type Store } from '../store.ts';
import { clampTime } from '../variants.ts';
import { checkMetadata, expectInodes, type ExpectedInodes } from './inodes.ts';

const object = sha256('content');
const meta: InodeMeta = { mode: 0o640, uid: 1, gid: 2, mtime: 1000, mtimeNsec: 0, xattrs: noXattrs };

test('one entry has to fit in all that its inode shows', { skip: needsRoot }, async () => {
  using scratch = makeScratch('inodes');
  using store = openStore(`${scratch.path}/store`, { create: true });
  await storeImage(store, 'app', 'content');
  const file = objectFile(store.root, object);
  chownSync(file, meta.uid, meta.gid);
  chmodSync(file, meta.mode);
  lutimesSync(file, meta.mtime, meta.mtime);
  const fits = (allowed: readonly InodeMeta[] | undefined, of: Store = store): boolean =>
    checkMetadata(of, object, allowed) === undefined;
  // What no tree has is not judged; what is allowed nothing fits nothing.
  assert.ok(fits(undefined));
  assert.ok(!fits([]));
  assert.ok(fits([meta]));
  const others: readonly Partial<InodeMeta>[] = [
    ...[{ mode: 0o644 }, { mode: 0o4640 }, { uid: 0 }, { gid: 0 }, { mtime: 1001 }, { mtimeNsec: 1 }],
  ];
  for (const other of others) {
    assert.ok(!fits([{ ...meta, ...other }]), JSON.stringify(other));
    assert.ok(fits([{ ...meta, ...other }, meta]));
  }
  // Each field is that of some entry, but no entry has them all.
  assert.ok(
    !fits([
      { ...meta, mode: 0o600 },
      { ...meta, uid: 0 },
    ]),
  );
  // Who may not give files away is held to the rest, and may read what it has.
  const own = { ...store, privileged: false };
  assert.ok(fits([{ ...meta, uid: 0, gid: 0 }], own));
  assert.ok(!fits([{ ...meta, mode: 0o600 }], own));
  assert.ok(!fits([{ ...meta, mtime: 1001 }], own));
  chmodSync(file, 0o440);
  assert.ok(fits([{ ...meta, mode: 0o040 }], own));
  assert.ok(!fits([{ ...meta, mode: 0o040 }]));
  chmodSync(file, meta.mode);

  setXattr(fromText(file), 'trusted.test', 'one');
  const withValue = (value: string): InodeMeta => ({ ...meta, xattrs: [['trusted.test', value]] });
  assert.ok(!fits([meta]));
  assert.ok(!fits([withValue('two')]));
  assert.ok(!fits([{ ...meta, xattrs: [['trusted.other', 'one']] }]));
  assert.ok(fits([withValue('one')]));
  removeXattr(fromText(file), 'trusted.test');
  // What a file system cannot hold may be absent.
  assert.ok(fits([withValue('one')]));

  lutimesSync(file, clampTime, clampTime);
  assert.ok(fits([meta]));
  assert.ok(!fits([{ ...meta, uid: 0 }]));
  lutimesSync(file, clampTime + 0.5, clampTime + 0.5);
  assert.ok(!fits([meta]));
});

test('what is expected of an object is each way in which a tree has it, once', () => {
  const entry = (path: string, changes: Partial<Entry> = {}): Entry => ({
    ...{ ...impliedDirectory('/'), ...meta, type: 'file', path, size: 7, digest: object },
    ...changes,
  });
  const expected: ExpectedInodes = new Map();
  const { digest: _digest, ...empty } = entry('/empty', { size: 0 });
  expectInodes(expected, [
    ...[entry('/a'), entry('/b'), entry('/c', { mode: 0o600 }), empty],
    ...[entry('/d', { hardlink: '/a', mode: 0o777 }), entry('/e', { xattrs: [['user.x', '1']] })],
  ]);
  expectInodes(expected, [entry('/f', { uid: 9 }), entry('/g', { gid: 9 }), entry('/h', { mtimeNsec: 9 })]);
  expectInodes(expected, [entry('/i', { mtime: 9 }), entry('/j', { uid: 9 })]);
  assert.deepEqual([...expected.keys()], [object]);
  assert.deepEqual(
    expected.get(object)!.map((one) => (one as Entry).path),
    ['/a', '/c', '/e', '/f', '/g', '/h', '/i'],
  );
});
