import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCellarError } from '../core/errors.ts';
import { nameOfUrl, parseHttpUrl, shapeOfName, splitShape, urlBelow } from './location.ts';

test('a suffix says what a file becomes', () => {
  const formats = ['a.tar', 'a.tar.gz', 'a.TGZ', 'a.tar.xz', 'a.txz', 'a.tar.zst', 'a.tar.bz2', 'a.tar.lz4'];
  for (const name of formats) assert.deepEqual(shapeOfName(name), { kind: 'tree', format: 'tar' });
  for (const name of ['a.squashfs', 'root.sqfs'])
    assert.deepEqual(shapeOfName(name), { kind: 'tree', format: 'squashfs' });
  for (const name of ['kubectl', 'a.tar.sig', 'disk.qcow2', 'tar', 'a.gz'])
    assert.deepEqual(shapeOfName(name), { kind: 'file' });
});

test('a prefix says it instead', () => {
  assert.deepEqual(splitShape('file+https://h/a.tar'), { shape: { kind: 'file' }, rest: 'https://h/a.tar' });
  assert.deepEqual(splitShape('tar+file:x').shape, { kind: 'tree', format: 'tar' });
  assert.deepEqual(splitShape('TAR+HTTPS://h/x'), {
    shape: { kind: 'tree', format: 'tar' },
    rest: 'HTTPS://h/x',
  });
  assert.deepEqual(splitShape('https://h/tar+x'), { rest: 'https://h/tar+x' });
});

test('only http and https URLs are URLs here', () => {
  for (const text of ['ftp://h/x', 'https://', 'h/x', 'file:///x', 'https://h/x#y'])
    assert.throws(
      () => parseHttpUrl(text, text),
      (error) => isCellarError(error, 'E_SOURCE_INVALID'),
    );
});

test('the name of a URL is its last component as it stands, without the query', () => {
  assert.equal(nameOfUrl(new URL('https://h/a/b%20c.tar?token=x/y')), 'b%20c.tar');
  assert.equal(nameOfUrl(new URL('https://h/a/')), '');
});

test('what a server names stays below what the user named', () => {
  const base = new URL('https://u:p@h:8443/prefix/');
  assert.equal(
    urlBelow(base, '/images//a/20260101_05:24/x', 'index'),
    'https://u:p@h:8443/prefix/images/a/20260101_05:24/x',
  );
  assert.equal(urlBelow(base, '//other/x', 'index'), 'https://u:p@h:8443/prefix/other/x');
  const hostile = [
    '..',
    'a/../../b',
    '%2e%2E/b',
    './a',
    'a/.%2e/b',
    'a%2f..%2fb',
    'http://other/x',
    'file:///etc/passwd',
    'a?b',
    'a#b',
    'a\\b',
    'a\nb',
    'a b',
    '',
    '/',
    '\0',
  ];
  for (const path of hostile)
    assert.throws(
      () => urlBelow(base, path, 'https://h/index'),
      (error) => isCellarError(error, 'E_HTTP_BODY'),
      path,
    );
});
