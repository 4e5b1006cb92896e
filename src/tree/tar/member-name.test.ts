import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cleanName, nameProblem } from './member-name.ts';

test('a name becomes a path within the tree', () => {
  const cases: Record<string, string> = {
    'a/b': '/a/b',
    './a/b': '/a/b',
    '/a/b': '/a/b',
    '././a': '/a',
    './/a': '/a',
    'a//b/./c/': '/a/b/c',
    './a/': '/a',
    './': '/',
    '.': '/',
    '': '/',
    '///': '/',
    '.a': '/.a',
    './.a': '/.a',
    '..': '/..',
    './..a': '/..a',
    'a/.b/..c/d.': '/a/.b/..c/d.',
  };
  for (const [name, path] of Object.entries(cases)) assert.equal(cleanName(name), path, name);
});

test('the quick way gives what taking the name apart gives', () => {
  const part = fc.constantFrom('', '.', '..', 'a', '.a', 'a.', 'bb', '...');
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const kept = parts.filter((one) => one !== '' && one !== '.');
      assert.equal(cleanName(parts.join('/')), `/${kept.join('/')}`);
      assert.equal(nameProblem(cleanName(parts.join('/'))) === undefined, !kept.includes('..'));
    }),
    { numRuns: 2000 },
  );
});

test('bounds of the kernel', () => {
  assert.equal(nameProblem(`/${'n'.repeat(255)}`), undefined);
  assert.match(nameProblem(`/${'n'.repeat(256)}`) ?? '', /255/);
  assert.equal(nameProblem('/d'.repeat(2047)), undefined);
  assert.match(nameProblem('/d'.repeat(2048)) ?? '', /4095/);
  assert.match(nameProblem('/a\0b') ?? '', /NUL/);
});
