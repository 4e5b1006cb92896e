/** What the fields and records of tar archives mean, dialect by dialect. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import type { Entry } from '../../src/tree/entry.ts';
import { holds, outcome, readArchive } from '../support/read-archive.ts';
import {
  archive,
  base256,
  directory,
  file,
  gnu,
  header,
  oldSparse,
  pax,
  sparse10,
  v7,
} from '../support/tar-builder.ts';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

/** The one entry of an archive. */
function only(...parts: readonly Buffer[]): Entry {
  const found = readArchive(archive(...parts)).filter(({ path }) => path !== '/');
  assert.equal(found.length, 1);
  return found[0]!;
}

suite('numbers in headers', () => {
  test('octal as writers of all ages leave it', () => {
    for (const text of ['0000644\0', '000644 \0', '   644 \0', '644\0\0\0\0\0', '00000644', '644     '])
      assert.equal(only(file('a', '', { uid: bytes(text) })).uid, 0o644, JSON.stringify(text));
    for (const text of ['\0\0\0\0\0\0\0\0', '        '])
      assert.equal(only(file('a', '', { uid: bytes(text) })).uid, 0, JSON.stringify(text));
    assert.equal(only(file('a', '', { mtime: bytes('777777777777') })).mtime, 8 ** 12 - 1);
  });

  test('what is no number', () => {
    for (const text of ['NaN\0\0\0\0\0', '0000648\0', '-000644\0', '0x1ff\0\0\0', '644,000\0'])
      assert.equal(outcome(archive(file('a', '', { uid: bytes(text) }))), 'E_ARCHIVE_CORRUPT', text);
  });

  test('base-256, positive and negative, to the limit of exact numbers', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (mtime) => {
        assert.equal(only(file('a', '', { mtime: base256(BigInt(mtime), 12) })).mtime, mtime);
      }),
    );
    for (const value of [2n ** 53n, -(2n ** 70n)])
      assert.equal(outcome(archive(file('a', '', { mtime: base256(value, 12) }))), 'E_ARCHIVE_CORRUPT');
    assert.equal(only(file('a', '', { uid: base256(0xffff_fffen, 8), magic: gnu })).uid, 0xffff_fffe);
  });
});

test('prefixes count in ustar only: GNU keeps times there, v7 nothing', () => {
  const names = (magic?: string): string[] =>
    readArchive(archive(file('n', '', { prefix: 'p', ...(magic === undefined ? {} : { magic }) }))).map(
      ({ path }) => path,
    );
  assert.deepEqual(names(), ['/', '/p', '/p/n']);
  assert.deepEqual(names(gnu), ['/', '/n']);
  assert.deepEqual(names(v7), ['/', '/n']);
  const full = readArchive(archive(file('n'.repeat(100), '', { prefix: 'p'.repeat(155) }))).at(-1);
  assert.equal(full?.path, `/${'p'.repeat(155)}/${'n'.repeat(100)}`, 'full fields need no NUL');
});

suite('pax records', () => {
  const value = (text: string): string => only(pax([['SCHILY.xattr.user.v', text]]), file('a')).xattrs[0]![1];
  const timeOf = (text: string): readonly number[] => {
    const { mtime, mtimeNsec } = only(pax([['mtime', text]]), file('a'));
    return [mtime, mtimeNsec];
  };

  test('values may hold newlines, =, NUL and any byte', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (raw) => {
        const text = Buffer.from(raw).toString('latin1');
        assert.equal(value(text), text);
      }),
    );
  });

  test('of equal keywords the last wins', () => {
    assert.equal(only(pax('9 path=a\n9 path=b\n'), file('x')).path, '/b');
  });

  test('times are floored, with nanoseconds counted up from there', () => {
    const known: readonly (readonly [string, number, number])[] = [
      ['0', 0, 0],
      ['1600000000.123456789', 1_600_000_000, 123_456_789],
      ['1.5', 1, 500_000_000],
      ['1.0000000019', 1, 1],
      ['-1', -1, 0],
      ['-0', 0, 0],
      ['-0.5', -1, 500_000_000],
      ['-1.000000001', -2, 999_999_999],
      ['-2000000000.25', -2_000_000_001, 750_000_000],
      ['4500000000.000000001', 4_500_000_000, 1],
    ];
    for (const [text, mtime, mtimeNsec] of known) assert.deepEqual(timeOf(text), [mtime, mtimeNsec], text);
    for (const text of ['1e3', ' 1', '0x1', '1.-5', '1.2.3', '9'.repeat(20)])
      assert.throws(() => timeOf(text), { code: 'E_ARCHIVE_CORRUPT' }, text);
  });

  test('xattrs in all spellings', () => {
    const xattrs = (...records: [string, string][]): unknown => only(pax(records), file('a')).xattrs;
    assert.deepEqual(xattrs(['SCHILY.xattr.user.b', '\0\n='], ['SCHILY.xattr.user.a', '']), [
      ['user.a', ''],
      ['user.b', '\0\n='],
    ]);
    assert.deepEqual(xattrs(['SCHILY.xattr.user.a%3Db%25%41', 'v']), [['user.a=b%%41', 'v']], 'as GNU tar');
    assert.deepEqual(xattrs(['LIBARCHIVE.xattr.user.a%3Db%0A', 'AP8K']), [['user.a=b\n', '\0\xff\n']]);
    assert.deepEqual(
      xattrs(['SCHILY.xattr.user.a=b', 'v'], ['LIBARCHIVE.xattr.user.a%3Db', 'dg']),
      [['user.a=b', 'v']],
      'as libarchive, whose SCHILY record breaks at the =',
    );
    assert.deepEqual(xattrs(['RHT.security.selinux', 'label']), [['security.selinux', 'label\0']]);
  });
});

suite('sparse files: one content in all four forms', () => {
  const content = Buffer.alloc(128);
  content.write('first', 0);
  content.write('second!', 100);
  const wanted = { '/a': holds(content) };
  const stored = 'firstsecond!';
  const size = ['GNU.sparse.size', '128'] as const;

  test('old GNU', () => {
    const segments = [
      [0, 5],
      [100, 7],
      [128, 0],
    ] as const;
    assert.deepEqual(
      outcome(archive(oldSparse({ name: 'a', realSize: 128, segments, content: stored }))),
      wanted,
    );
  });

  test('old GNU with extension blocks', () => {
    const segments = Array.from({ length: 60 }, (_, at) => [at * 10, 1] as const);
    const long = Buffer.alloc(600);
    for (const [offset] of segments) long.write('x', offset);
    const bytesOf = oldSparse({ name: 'a', realSize: 600, segments, content: 'x'.repeat(60) });
    assert.deepEqual(outcome(archive(bytesOf)), { '/a': holds(long) });
  });

  test('pax 0.0, which repeats its keywords', () => {
    const map: [string, string][] = [
      ['GNU.sparse.offset', '0'],
      ['GNU.sparse.numbytes', '5'],
      ['GNU.sparse.offset', '100'],
      ['GNU.sparse.numbytes', '7'],
    ];
    assert.deepEqual(outcome(archive(pax([size, ...map]), file('a', stored))), wanted);
  });

  test('pax 0.1', () => {
    const records = [size, ['GNU.sparse.map', '0,5,100,7'], ['GNU.sparse.name', 'a']] as const;
    assert.deepEqual(outcome(archive(pax(records), file('GNUSparseFile.1/a', stored))), wanted);
  });

  test('pax 1.0, and with a map of several blocks', () => {
    const head = (realSize: number): Buffer =>
      pax([
        ['GNU.sparse.major', '1'],
        ['GNU.sparse.minor', '0'],
        ['GNU.sparse.name', 'a'],
        ['GNU.sparse.realsize', String(realSize)],
      ]);
    const map = Buffer.alloc(512);
    map.write('2\n0\n5\n100\n7\n');
    assert.deepEqual(outcome(archive(head(128), file('x', Buffer.concat([map, bytes(stored)])))), wanted);
    const long = Buffer.alloc(5000);
    const text = Array.from({ length: 250 }, (_, at) => `${at * 20}\n1\n`).join('');
    for (let at = 0; at < 5000; at += 20) long.write('x', at);
    const blocks = Buffer.alloc(Math.ceil((text.length + 4) / 512) * 512);
    blocks.write(`250\n${text}`);
    const data = Buffer.concat([blocks, Buffer.alloc(250, 'x')]);
    assert.deepEqual(outcome(archive(head(5000), file('x', data))), { '/a': holds(long) });
    assert.deepEqual(outcome(archive(sparse10([]))), { '/GNUSparse': holds('x') });
  });
});

suite('ACLs', () => {
  const users = { alice: 1000, staff: 50, huge: 2 ** 32 };
  const xattrsOf = (
    record: 'access' | 'default',
    text: string,
    type: 'file' | 'directory',
  ): Entry['xattrs'] => {
    const named = type === 'file' ? file('a') : directory('a');
    const read = readArchive(archive(pax([[`SCHILY.acl.${record}`, text]]), named), { users });
    return read.find(({ path }) => path === '/a')!.xattrs;
  };
  const hex = (text: string): string | undefined => {
    const found = xattrsOf('access', text, 'file')[0]?.[1];
    return found === undefined ? undefined : bytes(found).toString('hex');
  };
  // Version; then tag, permissions, id of each entry, little endian. Source: linux/posix_acl_xattr.h
  const binary = [
    '02000000',
    '01000600ffffffff',
    '02000700e8030000',
    '04000400ffffffff',
    '0800050032000000',
    '10000700ffffffff',
    '20000400ffffffff',
  ].join('');

  test('every spelling of one', () => {
    for (const text of [
      'user::rw-,user:alice:rwx,group::r--,group:staff:r-x,mask::rwx,other::r--',
      'user::rw-\nuser:alice:rwx\ngroup::r--\ngroup:staff:r-x\nmask::rwx\nother::r--\n',
      'u::rw,u:1000:rwx,g::r,g:50:rx,m::rwx,o::r',
      'other::r--,mask::rwx,group:staff:r-x:50,group::r--,user:who:rwx:1000,user::rw-',
      '# file: f\nuser::rw-\t#effective:rw-\nuser:alice:rwx\ngroup::r--\ngroup:staff:r-x\nmask::rwx\nother::r--',
    ])
      assert.equal(hex(text), binary, text);
  });

  test('the mode becomes what the kernel makes of it: the mask for the group', () => {
    const text = 'user::rw-,user:1000:rwx,group::r--,mask::rwx,other::r--';
    assert.equal(only(pax([['SCHILY.acl.access', text]]), file('a', '', { mode: 0o4644 })).mode, 0o4674);
  });

  test('one that says no more than the mode is none; as a default it is one', () => {
    const minimal = 'user::rw-,group::r--,other::r--';
    assert.equal(hex(minimal), undefined);
    assert.equal(xattrsOf('default', minimal, 'directory')[0]?.[0], 'system.posix_acl_default');
    assert.deepEqual(xattrsOf('default', minimal, 'file'), [], 'only directories have a default');
  });

  test('what is none, or names nobody', () => {
    const rest = 'user::rwx,group::r-x,mask::rwx,other::---';
    for (const text of [
      `${rest},user:eve:rwx`,
      `${rest},user:huge:rwx`,
      `${rest},user:9999999999:rwx`,
      `${rest},user:4294967295:rwx`,
      `${rest},user:1:rwz`,
      `${rest},owner::rwx`,
      `${rest},user:1:rwx,user:1:r--`,
      `${rest},mask::r--`,
      'user::rwx,user:1:rwx,group::r-x,other::---',
      'garbage',
    ])
      assert.throws(() => hex(text), { code: 'E_TREE_INVALID' }, text);
  });

  test('a binary one that the kernel would refuse', () => {
    const good = Buffer.from(binary, 'hex');
    const read = (value: Buffer): Entry =>
      only(pax([['SCHILY.xattr.system.posix_acl_access', value.toString('latin1')]]), file('a'));
    assert.equal(bytes(read(good).xattrs[0]![1]).toString('hex'), binary);
    for (const [at, wrong] of [
      [0, 3],
      [4, 0x40],
      [6, 8],
      [4, 0x20],
    ] as const) {
      const bad = Buffer.from(good);
      bad[at] = wrong;
      assert.throws(() => read(bad), { code: 'E_TREE_INVALID' });
    }
    assert.throws(() => read(good.subarray(0, 11)), { code: 'E_TREE_INVALID' });
  });
});

test('devices and FIFOs', () => {
  const device = only(header({ name: 'd', type: '4', major: 0o7777, minor: 0o3777777 }));
  assert.deepEqual([device.type, device.rdev], ['block', 0xffff_ffff]);
  assert.equal(only(header({ name: 'p', type: '6' })).type, 'fifo');
});
