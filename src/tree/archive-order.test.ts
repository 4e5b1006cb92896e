import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
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
    [...archiveOrder(entries)].map(({ path }) => path),
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
    [...archiveOrder(entries)].map(({ path, hardlink }) => [path, hardlink]),
    [
      ['/', undefined],
      ['/a', undefined],
      ['/a/second', undefined],
      ['/a-first', '/a/second'],
      ['/z', '/a/second'],
    ],
  );
});

test('any tree: depth first, nothing lost, the first name of each inode is its file', () => {
  const name = fc.stringMatching(/^[a-c!.~]{1,3}$/).filter((text) => text !== '.' && text !== '..');
  const path = fc.array(name, { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(
      fc.uniqueArray(path, { maxLength: 40, selector: (names) => names.join('/') }),
      fc.nat(),
      (paths, mix) => {
        const directories = new Set(
          paths.flatMap((names) => names.map((_, at) => `/${names.slice(0, at).join('/')}`)),
        );
        const files = paths.map((names) => `/${names.join('/')}`).filter((text) => !directories.has(text));
        const inodes = new Map<number, string>();
        const entries = [...directories, ...files].toSorted().map((text, at): Entry => {
          if (directories.has(text)) return directory(text);
          const inode = (at * 31 + mix) % 7;
          const first = inodes.get(inode);
          if (first === undefined) inodes.set(inode, text);
          return file(text, first);
        });
        const ordered = [...archiveOrder(entries)];
        const depthFirst = entries.map((entry) => entry.path).toSorted((a, b) => (key(a) < key(b) ? -1 : 1));
        assert.deepEqual(
          ordered.map((entry) => entry.path),
          depthFirst,
        );
        const inodeOf = new Map(entries.map((entry) => [entry.path, entry.hardlink ?? entry.path]));
        const first = new Map<string, string>();
        for (const entry of ordered.filter(({ type }) => type === 'file')) {
          const inode = inodeOf.get(entry.path)!;
          assert.equal(entry.hardlink, first.get(inode), entry.path);
          if (!first.has(inode)) first.set(inode, entry.path);
        }
      },
    ),
  );
});

/** Sorts as the path does when `/` comes before every other byte. */
function key(text: string): string {
  return text.replaceAll('/', '\0');
}

test('entries already in order are left alone', () => {
  const entries = [directory('/'), file('/a'), file('/b', '/a')];
  assert.deepEqual([...archiveOrder(entries)], entries);
});
