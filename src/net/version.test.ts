/** Which bytes may be joined into one file: the same version, as far as servers say. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contentRange, lengthOf, sameVersion, validatorOf, versionOf, type Version } from './version.ts';

const [early, late] = ['Wed, 01 Jul 2026 00:00:00 GMT', 'Thu, 02 Jul 2026 00:00:00 GMT'];

function version(size?: number, etag?: string, lastModified?: string): Version {
  return { size, etag, lastModified };
}

test('two answers are of one version when a strong tag says so, or a date together with the length', () => {
  const cases: [a: Version, b: Version, same: boolean | undefined][] = [
    [version(5, '"a"'), version(5, '"a"'), true],
    [version(undefined, '"a"'), version(5, '"a"'), true],
    [version(5, '"a"'), version(6, '"a"'), false],
    [version(5, '"a"', early), version(5, '"b"', early), false],
    [version(5, '"a"', early), version(5, '"a"', late), true],
    // A weak tag is none, and neither is what is not in quotes.
    [version(5, 'W/"a"'), version(5, 'W/"a"'), undefined],
    [version(5, 'a'), version(5, 'a'), undefined],
    [version(5, '"a"'), version(5), undefined],
    [version(5, '"a"', early), version(5, undefined, early), true],
    [version(5, undefined, early), version(5, undefined, early), true],
    [version(5, undefined, early), version(5, undefined, late), false],
    [version(undefined, undefined, early), version(5, undefined, early), undefined],
    [version(5, undefined, early), version(undefined, undefined, early), undefined],
    [version(5, undefined, early), version(5), undefined],
    [version(5), version(5), undefined],
    [version(), version(), undefined],
  ];
  for (const [a, b, same] of cases) {
    assert.equal(sameVersion(a, b), same, JSON.stringify([a, b]));
    assert.equal(sameVersion(b, a), same, JSON.stringify([b, a]));
  }
});

test('a range is continued by a strong tag, or by a date where the length speaks too', () => {
  assert.equal(validatorOf(version(5, '"a"', early)), '"a"');
  assert.equal(validatorOf(version(undefined, '"a"')), '"a"');
  assert.equal(validatorOf(version(5, 'W/"a"', early)), early);
  assert.equal(validatorOf(version(undefined, 'W/"a"', early)), undefined);
  assert.equal(validatorOf(version(5)), undefined);
});

test('lengths and ranges: what is odd says nothing', () => {
  assert.equal(lengthOf({ 'content-length': ' 10 ' }), 10);
  for (const odd of ['', '-1', '1.5', '0x10', '1,1', '1'.repeat(16)])
    assert.equal(lengthOf({ 'content-length': odd }), undefined, odd);
  const of = (text: string) => contentRange({ 'content-range': text });
  assert.deepEqual(of('bytes 0-9/100'), { start: 0, end: 10, total: 100 });
  assert.deepEqual(of('bytes 90-99/100'), { start: 90, end: 100, total: 100 });
  assert.deepEqual(of('bytes 5-5/*'), { start: 5, end: 6, total: undefined });
  for (const odd of [
    'bytes 5-4/100',
    'bytes 0-100/100',
    'bytes */100',
    'lines 0-9/100',
    'bytes 0-9/100, x',
    '',
  ])
    assert.equal(of(odd), undefined, odd);
  assert.equal(contentRange({}), undefined);
});

test('the size of the file is that of a 200, and what a 206 says of it', () => {
  const headers = {
    'content-length': '10',
    'content-range': 'bytes 0-9/100',
    etag: '"a"',
    'last-modified': early,
  };
  assert.deepEqual(versionOf({ status: 206, headers }), version(100, '"a"', early));
  assert.deepEqual(versionOf({ status: 200, headers }), version(10, '"a"', early));
  assert.equal(versionOf({ status: 206, headers: { 'content-length': '10' } }).size, undefined);
});
