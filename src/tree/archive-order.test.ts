import assert from 'node:assert/strict';
import { test } from 'node:test';
import { archiveOrder } from './archive-order.ts';
import { impliedDirectory, type Entry } from './entry.ts';

const directory = impliedDirectory;
const file = (path: string, hardlink?: string): Entry => ({
  ...impliedDirectory(path),
  type: 'file',
  ...(hardlink === undefined ? {} : { hardlink }),
});

test('all that is below a directory follows it', () => {
  const entries = [
    directory('/'),
    directory('/perl'),
    file('/perl-base'),
    file('/perl.d'),
    file('/perl/5'),
    file('/q'),
  ];
  assert.deepEqual(
    archiveOrder(entries).map(({ path }) => path),
    ['/', '/perl', '/perl/5', '/perl-base', '/perl.d', '/q'],
  );
});

test('the first of hard-linked names in this order is the file', () => {
  const entries = [
    directory('/'),
    directory('/a'),
    file('/a-first'),
    file('/a/second', '/a-first'),
    file('/z', '/a-first'),
  ];
  assert.deepEqual(
    archiveOrder(entries).map(({ path, hardlink }) => [path, hardlink]),
    [
      ['/', undefined],
      ['/a', undefined],
      ['/a/second', undefined],
      ['/a-first', '/a/second'],
      ['/z', '/a/second'],
    ],
  );
});

test('entries already in order are left alone', () => {
  const entries = [directory('/'), file('/a'), file('/b', '/a')];
  assert.equal(archiveOrder(entries), entries);
});
