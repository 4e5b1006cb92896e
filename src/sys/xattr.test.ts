import assert from 'node:assert/strict';
import { closeSync, openSync, symlinkSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory } from '../../test/support/filesystem.ts';
import { getXattr, listXattrs, removeXattr, setXattr, setXattrFd } from './xattr.ts';

test('any bytes, sorted by name; of a file without any the shared empty list', () => {
  using scratch = scratchDirectory();
  const file = `${scratch.path}/f`;
  writeFileSync(file, '');
  assert.equal(listXattrs(file), listXattrs(scratch.path));
  const binary = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)).join('');
  setXattr(file, 'user.z\xff', binary);
  setXattr(file, 'user.a', '');
  const fd = openSync(file, 'r+');
  setXattrFd(fd, 'user.m', 'm');
  const expected = [
    ['user.a', ''],
    ['user.m', 'm'],
    ['user.z\xff', binary],
  ];
  assert.deepEqual(listXattrs(file), expected);
  assert.equal(getXattr(file, 'user.m'), 'm');
  closeSync(fd);
  removeXattr(file, 'user.m');
  removeXattr(file, 'user.m');
  assert.equal(getXattr(file, 'user.m'), undefined);
  assert.equal(listXattrs(file).length, 2);
});

test('where there are no xattrs the list is empty', () => {
  assert.deepEqual(listXattrs('/proc/self/status'), []);
});

test('what the kernel refuses is thrown with its errno', () => {
  using scratch = scratchDirectory();
  const file = `${scratch.path}/f`;
  writeFileSync(file, '');
  assert.throws(() => listXattrs(`${scratch.path}/none`), { code: 'ENOENT', syscall: 'llistxattr' });
  assert.throws(() => setXattr(file, 'user.big', 'x'.repeat(65537)), { code: 'E2BIG' });
  assert.throws(() => setXattr(file, `user.${'x'.repeat(300)}`, ''), { code: 'ERANGE' });
  assert.throws(() => setXattr(file, 'nonsense', ''), { code: 'ENOTSUP' });
});

test('symlinks carry their own', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  const link = `${scratch.path}/l`;
  symlinkSync('/nonexistent', link);
  setXattr(link, 'trusted.t', 'v');
  assert.deepEqual(listXattrs(link), [['trusted.t', 'v']]);
});
