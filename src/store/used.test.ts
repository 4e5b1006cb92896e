/** What is written beside an image: with it, or not at all, and never in the way of reading. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hostPlatform } from '../core/platform.ts';
import { parseReference } from '../core/reference.ts';
import { impliedDirectory } from '../tree/entry.ts';
import { makeScratch } from '../../test/support/scratch.ts';
import { inStore } from './layout.ts';
import { type ImportedArchive, recallTree } from './imported-archives.ts';
import { openStore, type Store } from './store.ts';
import { beginTransaction, type CommitResult } from './transaction.ts';
import { lastUsed, noteUse } from './used.ts';

const hour = 3_600_000;

async function commit(store: Store, archive?: ImportedArchive): Promise<CommitResult> {
  await using transaction = await beginTransaction(store);
  return await transaction.commit({
    platform: hostPlatform,
    labels: {},
    provenance: { via: 'import', source: '/archive.tar', verified: 'no' },
    references: [parseReference('image')],
    action: 'import',
    entries: [impliedDirectory('/')],
    ...(archive === undefined ? {} : { archive }),
  });
}

test('the archive is remembered with the image', async () => {
  using scratch = makeScratch('used');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const archive = { path: '/archive.tar', identity: '1 2 3', options: '[]' };
  const { content } = await commit(store, archive);
  const wanted = { options: '[]', sha256: undefined };
  assert.equal(recallTree(store, archive, wanted), content);
  assert.equal(recallTree(store, { ...archive, identity: '1 2 4' }, wanted), undefined);
  assert.equal(recallTree(store, archive, { ...wanted, options: '["/a"]' }), undefined);
});

test('a use is noted once an hour, and not being able to hinders nobody', async () => {
  using scratch = makeScratch('used');
  using store = openStore(join(scratch.path, 'store'), { create: true });
  const { image } = await commit(store);
  const now = Date.now();
  noteUse(store, image, now + 2 * hour);
  assert.equal(lastUsed(store, image), now + 2 * hour);
  noteUse(store, image, now + 2 * hour + 1);
  assert.equal(lastUsed(store, image), now + 2 * hour);
  // What comes first in every write cannot be opened for writing.
  const journal = inStore(store.root, 'journal');
  rmSync(journal);
  mkdirSync(journal);
  noteUse(store, image, now + 4 * hour);
  assert.equal(lastUsed(store, image), now + 2 * hour);
});
