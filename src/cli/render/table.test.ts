import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createStyle } from './style.ts';
import { clip, table } from './table.ts';

test('columns are as wide as their widest cell, numbers to the right, nothing trailing', () => {
  const rows = [
    ['a', '1', ''],
    ['long name', '1,000', 'x'],
  ];
  assert.deepEqual(table(rows, { head: ['NAME', 'N', ''], right: [1] }), [
    'NAME           N',
    'a              1',
    'long name  1,000  x',
  ]);
  assert.deepEqual(table([]), []);
});

test('colours take no room', () => {
  const red = createStyle(true).red('ab');
  assert.deepEqual(
    table([
      [red, 'c'],
      ['abc', 'd'],
    ]),
    [`${red}   c`, 'abc  d'],
  );
});

test('text is cut with an ellipsis', () => {
  assert.equal(clip('abcdef', 4), 'abc…');
  assert.equal(clip('abcd', 4), 'abcd');
});
