import assert from 'node:assert/strict';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { isCellarError } from '../core/errors.ts';
import { makedev } from '../core/rdev.ts';
import { mknod, setTimes } from '../sys/metadata.ts';
import { setXattr } from '../sys/xattr.ts';
import { bindMount } from '../sys/mount.ts';
import { unmount } from '../sys/mount-api.ts';
import { needs } from '../../test/support/run.ts';
import { scanDirectory, type ScanOptions } from './directory.ts';
import { formatBits, type Entry } from './entry.ts';

const needsRoot = needs({ root: true });

test('every type, all metadata, canonical order, hard links', async () => {
  using scratch = makeRoot();
  const { root } = scratch;
  mkdirSync(at(root, '/a'));
  writeFileSync(at(root, '/a/z'), 'content');
  writeFileSync(at(root, '/a-b'), '');
  writeFileSync(at(root, '/a.c'), 'x');
  linkSync(at(root, '/a/z'), at(root, '/0-link'));
  symlinkSync('tar\u00e9get', at(root, '/symlink'));
  linkSync(at(root, '/symlink'), at(root, '/symlink2'));
  writeFileSync(at(root, '/not-utf8-\xff'), 'y');
  mknod(`${root}/fifo`, formatBits.fifo | 0o600, 0);
  setXattr(`${root}/a-b`, 'user.b', '\0\xff');
  setXattr(`${root}/a-b`, 'user.a', '1');
  chmodSync(at(root, '/a-b'), 0o4755);
  setTimes(`${root}/a-b`, { mtime: -5, mtimeNsec: 123_456_789 });
  const server = createServer().listen(`${root}/socket`);
  await new Promise((resolve) => server.once('listening', resolve));
  const entries = scan(root);
  server.close();

  assert.deepEqual(
    entries.map(({ path, type }) => `${path} ${type}`),
    [
      '/ directory',
      '/0-link file',
      '/a directory',
      '/a-b file',
      '/a.c file',
      '/a/z file',
      '/fifo fifo',
      '/not-utf8-\xff file',
      '/socket socket',
      '/symlink symlink',
      '/symlink2 symlink',
    ],
  );
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  assert.equal(byPath.get('/a/z')?.hardlink, '/0-link');
  assert.equal(byPath.get('/a/z')?.size, 7);
  assert.equal(byPath.get('/symlink2')?.hardlink, '/symlink');
  assert.equal(byPath.get('/symlink')?.target, fromText('tar\u00e9get'));
  assert.equal(byPath.get('/symlink')?.size, 8);
  const odd = byPath.get('/a-b');
  assert.deepEqual([odd?.mode, odd?.mtime, odd?.mtimeNsec], [0o4755, -5, 123_456_789]);
  assert.deepEqual(odd?.xattrs, [
    ['user.a', '1'],
    ['user.b', '\0\xff'],
  ]);
});

test('excluded directories are not entered', () => {
  using scratch = makeRoot();
  mkdirSync(at(scratch.root, '/a/b/c'), { recursive: true });
  const entries = scan(scratch.root, { exclude: (path) => path === '/a/b' });
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['/', '/a'],
  );
});

test('a directory swapped for a symlink during the walk is noticed, not followed', () => {
  using scratch = makeRoot();
  const { root } = scratch;
  mkdirSync(at(root, '/a'));
  mkdirSync(at(root, '/b'));
  const walk = scanDirectory(root);
  walk.next();
  walk.next();
  renameSync(at(root, '/b'), at(root, '/c'));
  symlinkSync('c', at(root, '/b'));
  assert.throws(
    () => [...walk],
    (error) => isCellarError(error, 'E_SOURCE_CHANGED') && String(error.details['path']).endsWith('/b'),
  );
});

test('a directory replaced by another is noticed', () => {
  using scratch = makeRoot();
  const { root } = scratch;
  mkdirSync(at(root, '/a'));
  const walk = scanDirectory(root);
  walk.next();
  walk.next();
  renameSync(at(root, '/a'), at(root, '/old'));
  mkdirSync(at(root, '/a'));
  assert.throws(
    () => [...walk],
    (error) => isCellarError(error, 'E_SOURCE_CHANGED'),
  );
});

test('cancelling stops the walk', () => {
  using scratch = makeRoot();
  assert.throws(
    () => scan(scratch.root, { signal: AbortSignal.abort() }),
    (error) => isCellarError(error, 'E_CANCELLED'),
  );
});

test('what may not be read is named', { skip: needsRoot || needs({ nobody: true }) }, () => {
  using scratch = makeRoot();
  const { root } = scratch;
  mkdirSync(at(root, '/closed'), 0o700);
  chmodSync(at(root, ''), 0o755);
  const script = `
    import { scanDirectory } from ${JSON.stringify(new URL('./directory.ts', import.meta.url).href)};
    process.seteuid(65534);
    try { [...scanDirectory(${JSON.stringify(root)})]; } catch (error) { console.log(error.code, error.message); }`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.match(output, /^E_NOT_ALLOWED reading .*\/closed is not permitted/);
});

test('device numbers', { skip: needsRoot }, () => {
  using scratch = makeRoot();
  mknod(`${scratch.root}/d`, formatBits.block | 0o660, makedev(259, 70_000));
  const device = scan(scratch.root)[1];
  assert.deepEqual([device?.type, device?.rdev], ['block', makedev(259, 70_000)]);
});

test('mount points are kept as empty directories, even of the same file system', { skip: needsRoot }, () => {
  using scratch = makeRoot();
  const { root } = scratch;
  mkdirSync(at(root, '/other/inside'), { recursive: true });
  chmodSync(at(root, '/other'), 0o711);
  mkdirSync(at(root, '/point'));
  writeFileSync(at(root, '/file'), '');
  writeFileSync(at(root, '/over'), 'x');
  using mounts = new DisposableStack();
  for (const [from, to] of [
    ['/other', '/point'],
    ['/over', '/file'],
  ] as const) {
    bindMount(root + from, root + to);
    mounts.defer(() => unmount(root + to));
  }
  const met: ByteString[] = [];
  const entries = scan(root, { onMountPoint: (path) => met.push(path) });
  assert.deepEqual(
    entries.map(({ path }) => path),
    ['/', '/other', '/other/inside', '/over', '/point'],
  );
  assert.equal(entries.at(-1)?.mode, 0o711);
  assert.deepEqual(met.sort(), ['/file', '/point']);
});

function scan(root: ByteString, options: ScanOptions = {}): Entry[] {
  return Array.from(scanDirectory(root, options), ({ entry }) => entry);
}

function makeRoot(): { readonly root: ByteString } & Disposable {
  const root = mkdtempSync('/var/tmp/cellar-scan-');
  return { root, [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }) };
}

function at(root: ByteString, path: ByteString): Buffer {
  return toBytes(root + path);
}
