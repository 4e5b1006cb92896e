import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { generatedTree } from '../../test/support/generated-tree.ts';
import { findProblem } from './canonical.ts';
import { impliedDirectory, type Entry } from './entry.ts';
import { mergeTrees } from './merge.ts';
import { splitTree, type SplitRule } from './split.ts';

const file = (path: string, hardlink?: string): Entry => ({
  ...impliedDirectory(path),
  type: 'file',
  ...(hardlink === undefined ? {} : { hardlink }),
});

const rule = (artifact: string, ...include: string[]): SplitRule => ({
  artifact,
  include: include.map((text) => new RegExp(`^(?:${text})`)),
});

const paths = (entries: readonly Entry[] | undefined): string[] => (entries ?? []).map(({ path }) => path);

test('the first rule that matches has a path; the rest is reported', () => {
  const tree = [
    ...['/', '/empty', '/usr', '/usr/include'].map(impliedDirectory),
    ...[file('/usr/include/a.h'), impliedDirectory('/usr/lib'), file('/usr/lib/a.a'), file('/usr/lib/a.so')],
    file('/zzz'),
  ];
  const { artifacts, unmatched, overlaps } = splitTree(tree, [
    rule('devel', 'usr/include/', 'usr/lib/.*\\.a$'),
    rule('runtime', 'usr/lib/'),
    rule('empty', 'empty/$'),
    rule('none', 'opt/'),
  ]);
  assert.deepEqual(
    [...artifacts].map(([name, entries]) => [name, ...paths(entries)]),
    [
      ['devel', '/', '/usr', '/usr/include', '/usr/include/a.h', '/usr/lib', '/usr/lib/a.a'],
      ['runtime', '/', '/usr', '/usr/lib', '/usr/lib/a.so'],
      ['empty', '/', '/empty'],
      ['none', '/'],
    ],
  );
  assert.deepEqual(unmatched, ['/zzz']);
  assert.deepEqual(overlaps, [{ artifacts: ['devel', 'runtime'], paths: ['/usr/lib/a.a'] }]);
});

test('one artifact may have several rules, which do not overlap with each other', () => {
  const tree = [impliedDirectory('/'), file('/a'), file('/b')];
  const { artifacts, overlaps } = splitTree(tree, [rule('x', 'a'), rule('y', 'b'), rule('x', '.*')]);
  assert.deepEqual(paths(artifacts.get('x')), ['/', '/a']);
  assert.deepEqual(paths(artifacts.get('y')), ['/', '/b']);
  assert.deepEqual(overlaps, [{ artifacts: ['y', 'x'], paths: ['/b'] }]);
});

test('of names of one inode the first that an artifact has becomes its file', () => {
  const tree = [impliedDirectory('/'), file('/a'), file('/b', '/a'), file('/c', '/a')];
  const { artifacts } = splitTree(tree, [rule('x', 'a'), rule('y', '.*')]);
  assert.deepEqual(artifacts.get('y'), [impliedDirectory('/'), file('/b'), file('/c', '/b')]);
});

test('property: artifacts are canonical, disjoint, and together with what is left out the tree itself', () => {
  const tree = generatedTree(600);
  const anyRule = fc.record({
    artifact: fc.constantFrom('one', 'two', 'three'),
    include: fc.array(
      fc
        .constantFrom('d1', 'd[2-5]/', 'top', '.*n{3}', '.*~link$', '.*[13579]$', 'd')
        .map((text) => new RegExp(`^(?:${text})`)),
      { minLength: 1, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(fc.array(anyRule, { minLength: 1, maxLength: 5 }), (rules) => {
      const { artifacts, unmatched } = splitTree(tree, [...rules, { artifact: 'rest', include: [/^[^t]/] }]);
      const owned = new Map<string, number>();
      for (const entries of artifacts.values()) {
        assert.equal(findProblem(entries), undefined);
        for (const { path, type } of entries)
          if (type !== 'directory') owned.set(path, (owned.get(path) ?? 0) + 1);
      }
      for (const path of unmatched) owned.set(path, (owned.get(path) ?? 0) + 1);
      const wanted = tree.filter(({ type }) => type !== 'directory');
      assert.equal(owned.size, wanted.length);
      assert.ok(wanted.every(({ path }) => owned.get(path) === 1));
      const united = new Map(mergeTrees([...artifacts.values()]).map((entry) => [entry.path, entry]));
      const left = new Set(unmatched);
      for (const { hardlink: _, ...entry } of wanted.filter(({ path }) => !left.has(path))) {
        const { hardlink: __, ...found } = united.get(entry.path)!;
        assert.deepEqual(found, entry);
      }
    }),
    { numRuns: 30 },
  );
});
