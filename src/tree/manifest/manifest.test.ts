import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isCellarError } from '../../core/errors.ts';
import { makedev } from '../../core/rdev.ts';
import { countLinks } from '../canonical.ts';
import { noXattrs, type Entry } from '../entry.ts';
import { escapeOptional, escapePath, escapeXattr, unescape } from './escape.ts';
import { readManifest } from './read.ts';
import { manifestDigest, writeManifest } from './write.ts';

const bare = { mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, xattrs: noXattrs, size: 0, rdev: 0 };
const root: Entry = { ...bare, path: '/', type: 'directory' };
const digest = 'ab'.repeat(32);
const file: Entry = {
  ...bare,
  path: '/a',
  type: 'file',
  mode: 0o4755,
  size: 5,
  digest,
  mtime: 1,
  mtimeNsec: 1,
};

function text(entries: readonly Entry[]): string {
  return Buffer.concat([...writeManifest(entries)]).toString('latin1');
}

function read(manifest: string): Entry[] {
  return readManifest(Buffer.from(manifest, 'latin1'));
}

test('every kind of entry has its line', () => {
  const entries: Entry[] = [
    root,
    file,
    { ...file, path: '/b', hardlink: '/a' },
    { ...bare, path: '/c', type: 'char', rdev: makedev(1, 3), mode: 0o666 },
    {
      ...bare,
      path: '/d',
      type: 'directory',
      mode: 0o1777,
      xattrs: [
        ['user.a=b', '\0=\n'],
        ['user.z', ''],
      ],
    },
    { ...bare, path: '/d/-', type: 'symlink', target: '-', size: 1, mode: 0o777, mtime: -1, mtimeNsec: 5 },
    { ...bare, path: '/d/e\xff f', type: 'file' },
    { ...bare, path: '/p', type: 'fifo' },
    { ...bare, path: '/s', type: 'socket' },
  ];
  const expected = [
    '/ 0 40755 3 0 0 0 0.0 - - -',
    `/a 5 104755 2 0 0 0 1.1 ab/${'ab'.repeat(31)} - -`,
    `/b 5 @104755 2 0 0 0 1.1 /a - -`,
    '/c 0 20666 1 0 0 259 0.0 - - -',
    '/d 0 41777 2 0 0 0 0.0 - - - user.a\\x3db=\\x00\\x3d\\n user.z=',
    '/d/- 1 120777 1 0 0 0 -1.5 \\x2d - -',
    '/d/e\\xff\\x20f 0 100755 1 0 0 0 0.0 - - -',
    '/p 0 10755 1 0 0 0 0.0 - - -',
    '/s 0 140755 1 0 0 0 0.0 - - -',
  ];
  assert.equal(text(entries), expected.join('\n') + '\n');
  assert.deepEqual(read(text(entries)), entries);
});

test('escapes are those of composefs-info dump', () => {
  assert.equal(escapePath('/a b\\\n\r\t\0\x7f\xff=-~!'), '/a\\x20b\\\\\\n\\r\\t\\x00\\x7f\\xff=-~!');
  assert.equal(escapeOptional('-'), '\\x2d');
  assert.equal(escapeOptional('--'), '--');
  assert.equal(escapeXattr('-'), '-');
  assert.equal(escapeXattr('a=b'), 'a\\x3db');
  for (const bad of ['\\', 'a\\q', '\\x4', '\\x\\\\41', '\\xg0']) assert.equal(unescape(bad), undefined, bad);
  fc.assert(
    fc.property(latin1(), (bytes) => {
      assert.equal(unescape(escapePath(bytes)), bytes);
      assert.equal(unescape(escapeXattr(bytes)), bytes);
    }),
  );
});

test('what the writer would not have written is refused with its line', () => {
  const good = '/ 0 40755 2 0 0 0 0.0 - - -\n';
  const object = `ab/${'ab'.repeat(31)}`;
  const bad: [line: number, manifest: string][] = [
    [1, ''],
    [1, '/ 0 40755 2 0 0 0 0.0 - - -'],
    [1, '/ 4096 40755 2 0 0 0 0.0 - - -\n'],
    [1, '/ 0 40755 3 0 0 0 0.0 - - -\n'],
    [1, '/ 0 40755 2 0 0 0 0.00 - - -\n'],
    [1, '/ 0 40755 2 0 0 0 -0.0 - - -\n'],
    [1, '/ 0 40755 2 0 0 0 0.1000000000 - - -\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - \n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - -\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 -  - -\n'],
    [1, '/ 0 755 2 0 0 0 0.0 - - -\n'],
    [1, '/ 0 040755 2 0 0 0 0.0 - - -\n'],
    [1, '/ 0 40000040755 2 0 0 0 0.0 - - -\n'],
    [1, '/ 0 40755 2 00 0 0 0.0 - - -\n'],
    [1, '/ 0 40755 2 4294967296 0 0 0.0 - - -\n'],
    [1, '/ 0 40755 2 0 0 7 0.0 - - -\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - user.b= user.a=\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - user.a= user.a=\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - =x\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - user.a==\n'],
    [1, '/ 0 40755 2 0 0 0 0.0 - - - user.a=\\x41\n'],
    [2, good + '/a 5 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + `/a 5 100644 1 0 0 0 0.0 ${object} - ${digest}\n`],
    [2, good + `/a 5 100644 1 0 0 0 0.0 ${object} hello -\n`],
    [2, good + `/a 5 100644 1 0 0 0 0.0 ${object.toUpperCase()} - -\n`],
    [2, good + `/a 0 100644 1 0 0 0 0.0 ${object} - -\n`],
    [2, good + '/a 2 120777 1 0 0 0 0.0 b - -\n'],
    [2, good + '/a 0 120777 1 0 0 0 0.0 - - -\n'],
    [2, good + '/a/b 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + '/.. 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + '// 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + 'a 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + '/a\\x00 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + '/\\x61 0 100644 1 0 0 0 0.0 - - -\n'],
    [2, good + '/a 0 @100644 2 0 0 0 0.0 /b - -\n/b 0 100644 2 0 0 0 0.0 - - -\n'],
    [2, good + '/a 0 100644 2 0 0 0 0.0 - - -\n'],
    [3, good + '/a 0 100644 2 0 0 0 0.0 - - -\n/b 0 @100600 2 0 0 0 0.0 /a - -\n'],
    [3, good + '/b 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -\n'],
    [3, good + '/a 0 100644 1 0 0 0 0.0 - - -\n/a 0 100644 1 0 0 0 0.0 - - -\n'],
    [3, good + '/a 0 100644 1 0 0 0 0.0 - - -\n/a/b 0 100644 1 0 0 0 0.0 - - -\n'],
  ];
  for (const [line, manifest] of bad) {
    assert.throws(
      () => read(manifest),
      (error: unknown) => isCellarError(error, 'E_MANIFEST_INVALID') && error.details['line'] === line,
      manifest,
    );
  }
});

test('the writer refuses entries out of order', () => {
  assert.throws(() => text([root, { ...file, path: '/b' }, file]), /canonical order/);
});

test('any tree survives a round trip, and is named by its text', () => {
  fc.assert(
    fc.property(fc.uniqueArray(latin1({ minLength: 1 }), { maxLength: 20 }), latin1(), (names, value) => {
      const paths = names.map((name) => `/${name.replace(/[/\0]/g, '_').replace(/^\.{1,2}$/, 'dots')}`);
      const entries: Entry[] = [...new Set(paths)]
        .sort((a, b) => (a < b ? -1 : 1))
        .map((path) => ({
          ...file,
          path,
          xattrs: value === '' ? noXattrs : [[`user.${value.replaceAll('\0', '')}`, value]],
        }));
      assert.deepEqual(read(text([root, ...entries])), [root, ...entries]);
    }),
  );
  assert.equal(manifestDigest([root]), 'cc21d6b9e14a7f11fff864dd395010aa1fc522afa2e777fb2fb53d06ff03a0fa');
});

test('links are counted within the tree', () => {
  const directory = (path: string): Entry => ({ ...root, path });
  const entries = [
    root,
    directory('/a'),
    directory('/a/b'),
    { ...file, path: '/f' },
    { ...file, path: '/g', hardlink: '/f' },
  ];
  assert.deepEqual([...countLinks(entries)], [3, 3, 2, 2, 2]);
});

function latin1(constraints: { minLength?: number } = {}): fc.Arbitrary<string> {
  return fc
    .uint8Array({ maxLength: 40, ...constraints })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
}
