import assert from 'node:assert/strict';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compareTrees, snapshot } from './compare.ts';
import { needs } from './run.ts';
import { buildTree, nextVersion } from './tree.ts';

const skip = needs({ programs: ['getfattr'] });

test('one seed makes one tree', { skip }, async () => {
  using first = buildTree({ files: 60, seed: 7, sockets: true });
  using second = buildTree({ files: 60, seed: 7, sockets: true });
  // Files keep the time they were written at, except those the tree sets.
  assert.deepEqual(await compareTrees(first.root, second.root, { ignore: ['mtime'] }), []);
  const kinds = new Set([...(await snapshot(first.root)).values()].map((node) => node.type));
  assert.ok(kinds.has('fifo') && kinds.has('socket') && kinds.has('symlink'));
});

test('a copy is equal, and each kind of change is seen', { skip }, async () => {
  using tree = buildTree({ files: 300, seed: 3 });
  using next = nextVersion(tree);
  const lines = await compareTrees(tree.root, next.root);
  assert.ok(lines.length > 5 && lines.length < 200, `${lines.length} differences`);

  const before = await snapshot(tree.root);
  chmodSync(join(tree.root, 'odd/mode-400'), 0o600);
  writeFileSync(join(tree.root, 'odd/links/b-first'), 'Linked content');
  const after = await compareTrees(tree.root, tree.root);
  assert.deepEqual(after, []);
  const { differences } = await import('./compare.ts');
  const seen = differences(before, await snapshot(tree.root));
  assert.ok(seen.some((line) => line.includes('mode-400": mode')));
  assert.ok(seen.some((line) => line.includes('zz-elsewhere": content')));
});
