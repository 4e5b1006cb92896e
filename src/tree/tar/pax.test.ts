import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyPax, parseTime, readPax, TarProblem, type PaxRecords } from './pax.ts';
import { xattrKeyword, xattrsOf } from './pax-xattrs.ts';

function read(...texts: string[]): PaxRecords {
  const records = emptyPax();
  for (const text of texts) {
    const bytes = Buffer.from(`junk${text}junk`, 'latin1');
    readPax(bytes, 4, bytes.length - 4, records);
  }
  return records;
}

function record(keyword: string, value: string): string {
  const rest = ` ${keyword}=${value}\n`;
  const length = [1, 2, 3, 4, 5]
    .map((digits) => rest.length + digits)
    .find((sum) => `${sum}${rest}`.length === sum);
  return `${length}${rest}`;
}

test('the last of several records wins, also over those of another header', () => {
  assert.equal(read(record('path', 'a') + record('path', 'b')).path, 'b');
  assert.equal(read(record('path', 'a'), record('path', 'b')).path, 'b');
});

test('an empty value takes back, except that of an xattr', () => {
  const { path, size, mtime, xattrs } = read(
    record('path', '') + record('size', '') + record('mtime', '') + record('SCHILY.xattr.user.a', ''),
  );
  assert.deepEqual([path, size, mtime, xattrs?.get('user.a')], [null, null, null, '']);
});

test('values may hold newlines, equal signs and any byte', () => {
  const value = '\n12 path=x\n=\0\xff';
  assert.equal(read(record('SCHILY.xattr.user.a', value)).xattrs?.get('user.a'), value);
});

test('malformed records are refused', () => {
  for (const text of [
    'x',
    '5',
    '5 a=',
    '6 a=b',
    '7 a=b\n',
    '0 a=b\n',
    '4 =\n',
    '5 ab\n',
    ' 6 a=b\n',
    '99999999999 a=b\n',
    '-6 a=b\n',
    '7Xa=bc\n',
    '6=ab=\n',
  ])
    assert.throws(() => read(text), TarProblem, JSON.stringify(text));
});

test('times before 1970 and finer than nanoseconds', () => {
  const cases: [string, number, number][] = [
    ['0', 0, 0],
    ['1.5', 1, 500_000_000],
    ['1.', 1, 0],
    ['1.0000000019', 1, 1],
    ['-1', -1, 0],
    ['-0', 0, 0],
    ['-1.5', -2, 500_000_000],
    ['-0.000000001', -1, 999_999_999],
    ['-0.0000000001', -1, 999_999_999],
    ['-1.0000000001', -2, 999_999_999],
    ['1e-05', 0, 10_000],
    ['-9.999999717180685e-10', -1, 999_999_999],
  ];
  for (const [text, mtime, mtimeNsec] of cases) assert.deepEqual(parseTime(text), { mtime, mtimeNsec }, text);
  for (const text of ['', '.5', '1e3', '1e-5', '10e-05', '1,5', ' 1', '--1', '9'.repeat(17)])
    assert.throws(() => parseTime(text), TarProblem, text);
});

test('xattrs are sorted by name and the local ones win', () => {
  const local = read(record('SCHILY.xattr.user.b', 'local'));
  const global = read(record('SCHILY.xattr.user.b', 'global') + record('SCHILY.xattr.user.a', '1'));
  const wanted = [
    ['user.a', '1'],
    ['user.b', 'local'],
  ];
  assert.deepEqual(xattrsOf(local, global), wanted);
});

test('names with % and = come back, from GNU tar and from libarchive', () => {
  const name = 'user.a=b%3D%c';
  assert.deepEqual(xattrsOf(read(record(xattrKeyword(name), 'v')), undefined), [[name, 'v']]);
  const encoded = `LIBARCHIVE.xattr.${encodeURIComponent(name)}`;
  const both = read(
    record(`SCHILY.xattr.${name}`, 'v') +
      record(encoded, Buffer.from('v').toString('base64').replace(/=+$/, '')),
  );
  assert.deepEqual(xattrsOf(both, undefined), [[name, 'v']]);
  assert.throws(() => read(record('LIBARCHIVE.xattr.user.a', '!')), TarProblem);
});

test('what SELinux text becomes has the NUL that the kernel keeps', () => {
  const label = 'system_u:object_r:etc_t:s0';
  assert.deepEqual(xattrsOf(read(record('RHT.security.selinux', label)), undefined), [
    ['security.selinux', `${label}\0`],
  ]);
});

test('sparse records of formats 0.0 and 0.1', () => {
  const pairs = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];
  const text = [0, 5, 10, 5].map((value, at) => record(pairs[at % 2]!, String(value))).join('');
  assert.deepEqual(
    read(record('GNU.sparse.size', '20') + record('GNU.sparse.numblocks', '2') + text).sparse?.map,
    [0, 5, 10, 5],
  );
  assert.deepEqual(read(record('GNU.sparse.map', '0,5,10,5')).sparse?.map, [0, 5, 10, 5]);
  assert.deepEqual(read(record('GNU.sparse.numblocks', '0')).sparse?.map, []);
  assert.throws(() => read(record('GNU.sparse.numbytes', '5')), TarProblem);
});
