import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromText } from '../core/bytes.ts';
import { isCellarError } from '../core/errors.ts';
import { compileExcludes } from './exclude.ts';

const cases: readonly [pattern: string, matches: readonly string[], others: readonly string[]][] = [
  ['*.pyc', ['/a.pyc', '/x/y/b.pyc', '/d.pyc/below'], ['/a.pyc2', '/apyc', '/']],
  ['cache', ['/cache', '/var/cache', '/var/cache/apt/x'], ['/caches', '/var/my-cache', '/']],
  ['/var/cache', ['/var/cache', '/var/cache/apt'], ['/x/var/cache', '/var/cached']],
  ['./var/cache/', ['/var/cache', '/var/cache/a'], ['/x/var/cache']],
  ['var/cache', ['/var/cache', '/x/var/cache/y'], ['/bvar/cache', '/var/x/cache']],
  ['/var/*', ['/var/a', '/var/a/b'], ['/var', '/x/var/a']],
  ['/var/**', ['/var/a', '/var/a/b'], ['/var']],
  ['/a/**/b', ['/a/b', '/a/x/b', '/a/x/y/b/c'], ['/ab', '/a/xb']],
  ['/a/**b', ['/a/b', '/a/x/cb'], ['/a/b2']],
  ['**/x', ['/x', '/a/x'], ['/ax']],
  ['f?o', ['/foo', '/fäo', '/a/f?o'], ['/fo', '/f/o', '/fooo']],
  ['[a-c]x', ['/ax', '/cx'], ['/dx', '/-x']],
  ['[!a-c]x', ['/dx', '/äx'], ['/ax', '/x']],
  ['[]x]', ['/]', '/x'], ['/[]x]']],
  ['[äö]', ['/ä', '/ö'], ['/ü', '/a']],
  ['a[', ['/a['], ['/a']],
  ['[[:digit:]_]', ['/7', '/_'], ['/a']],
  ['a\\*', ['/a*'], ['/ab']],
  ['a.b+(c)|^$', ['/a.b+(c)|^$'], ['/axb+(c)|^$']],
  ['new\nline', ['/new\nline', '/a\nb/new\nline'], ['/new']],
];

for (const [pattern, matches, others] of cases) {
  test(`exclude ${JSON.stringify(pattern)}`, () => {
    const excluded = compileExcludes([pattern]);
    for (const path of matches) assert.equal(excluded(fromText(path)), true, `matches ${path}`);
    for (const path of others) assert.equal(excluded(fromText(path)), false, `does not match ${path}`);
  });
}

test('any of several patterns excludes, none excludes nothing', () => {
  const excluded = compileExcludes(['/a', '*.o']);
  assert.deepEqual(['/a/b', '/x.o', '/b'].map(excluded), [true, true, false]);
  assert.equal(compileExcludes([])('/a'), false);
});

test('bytes that are not UTF-8 count as one character each', () => {
  assert.equal(compileExcludes(['a?b'])('/a\xffb'), true);
});

test('patterns that cannot be meant are refused', () => {
  for (const pattern of ['', '/', './', '[b-a]', '[[:no:]]', '[ä-ö]'])
    assert.throws(
      () => compileExcludes([pattern]),
      (error) => isCellarError(error, 'E_USAGE'),
      pattern,
    );
});
