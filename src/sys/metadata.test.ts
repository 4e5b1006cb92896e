import assert from 'node:assert/strict';
import {
  closeSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory } from '../../test/support/filesystem.ts';
import { fromText, toBytes } from '../core/bytes.ts';
import { makedev } from '../core/rdev.ts';
import { fsyncDir, writeFileAtomic } from './atomic.ts';
import { mknod, setTimes } from './metadata.ts';
import { renameExchange, renameNoReplace } from './rename.ts';
import { fstatFull, lstatFull } from './stat.ts';

test('times are exact to the nanosecond, before 1970 and after 2038, on symlinks and open files', () => {
  using scratch = scratchDirectory();
  const file = `${scratch.path}/f`;
  const link = `${scratch.path}/l`;
  writeFileSync(file, 'x');
  symlinkSync('f', link);
  for (const [mtime, mtimeNsec] of [
    [1_700_000_000, 123_456_789],
    [-1, 999_999_999],
    [-2_000_000_000, 1],
    [2 ** 31, 0],
    [2 ** 32 + 5, 7],
  ] as const) {
    setTimes(file, { mtime, mtimeNsec });
    const stat = lstatFull(file);
    assert.deepEqual([stat.mtime, stat.mtimeNsec], [mtime, mtimeNsec]);
    assert.equal(
      lstatSync(file, { bigint: true }).mtimeNs,
      BigInt(mtime) * 1_000_000_000n + BigInt(mtimeNsec),
    );
  }
  const before = lstatFull(file).mtime;
  setTimes(link, { mtime: 5, mtimeNsec: 6 });
  assert.equal(lstatFull(link).mtimeNsec, 6);
  assert.equal(lstatFull(file).mtime, before);
  const fd = openSync(file, 'r');
  setTimes(fd, { mtime: 8, mtimeNsec: 9 });
  assert.deepEqual(fstatFull(fd), lstatFull(file));
  closeSync(fd);
  assert.equal(lstatFull(file).mtimeNsec, 9);
});

test('lstatFull says what lstat says', () => {
  using scratch = scratchDirectory();
  const name = fromText(`${scratch.path}/é`) + '\xff';
  writeFileSync(toBytes(name), Buffer.alloc(10_000), { mode: 0o640 });
  const [ours, nodes] = [lstatFull(name), lstatSync(toBytes(name), { bigint: true })];
  assert.equal(ours.mode, Number(nodes.mode));
  assert.equal(ours.perm, 0o640);
  assert.equal(ours.size, 10_000);
  assert.equal(ours.ino, nodes.ino);
  // glibc's encoding of a device number is the kernel's up to 12 and 20 bits.
  assert.equal(ours.dev, Number(nodes.dev));
  assert.equal(ours.blocks, Number(nodes.blocks));
  assert.equal(BigInt(ours.ctime) * 1_000_000_000n + BigInt(ours.ctimeNsec), nodes.ctimeNs);
  assert.equal(ours.mountRoot, false);
  assert.equal(lstatFull('/proc').mountRoot, true);
  assert.equal(lstatFull('/dev/null').rdev, makedev(1, 3));
});

test('device nodes', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  mknod(`${scratch.path}/c`, 0o020600, makedev(259, 65537));
  mknod(`${scratch.path}/p`, 0o010600, 0);
  const stat = lstatFull(`${scratch.path}/c`);
  assert.deepEqual([stat.mode, stat.rdev], [0o020600, makedev(259, 65537)]);
  assert.equal(lstatSync(`${scratch.path}/c`).rdev, makedev(259, 65537));
  assert.throws(() => mknod(`${scratch.path}/p`, 0o010600, 0), { code: 'EEXIST', syscall: 'mknod' });
});

test('renames that never replace, and that swap', () => {
  using scratch = scratchDirectory();
  const [a, b] = [`${scratch.path}/a`, `${scratch.path}/b`];
  writeFileSync(a, 'A');
  mkdirSync(b);
  assert.throws(() => renameNoReplace(a, b), { code: 'EEXIST' });
  renameExchange(a, b);
  assert.equal(readFileSync(b, 'utf8'), 'A');
  renameNoReplace(b, `${scratch.path}/c`);
  assert.deepEqual(readdirSync(scratch.path), ['a', 'c']);
});

test('an atomic write replaces content and mode, and leaves nothing beside it', () => {
  using scratch = scratchDirectory();
  const file = `${scratch.path}/record`;
  writeFileAtomic(file, 'one');
  assert.equal(statSync(file).mode & 0o7777, 0o644);
  writeFileAtomic(file, Buffer.from('two'), { mode: 0o600 });
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.equal(statSync(file).mode & 0o7777, 0o600);
  assert.throws(() => writeFileAtomic(scratch.path, 'x'), { code: 'EISDIR' });
  fsyncDir(scratch.path);
  assert.deepEqual(readdirSync(scratch.path), ['record']);
});
