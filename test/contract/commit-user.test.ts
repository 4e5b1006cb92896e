/**
 * Commits of an ordinary user: owners and devices that he could not have set stay what they were in the base. Run as root,
 * it makes a store, gives it away, and runs itself again as nobody.
 */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkout } from '../../src/ops/checkout.ts';
import { commit } from '../../src/ops/commit.ts';
import { openStore } from '../../src/store/store.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { readTree } from '../../src/store/trees.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { obstacleToNobody, runAsNobody } from '../support/as-nobody.ts';
import { contentOf, plainFiles, reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { run } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { buildTree } from '../support/tree.ts';

/** A store made by root and given away, with owners, devices and root's xattrs in its tree. */
const givenStore = process.env['CELLAR_TEST_STORE'];

test('as nobody', { skip: givenStore === undefined ? obstacleToNobody : 'is nobody already' }, async () => {
  using place = makeScratch('commit', '/var/tmp');
  using tree = buildTree({ files: 80, seed: 3, parent: place.path });
  // A file that its owner may not read cannot be committed by him.
  await run(['find', tree.root, '!', '-perm', '-0400', '!', '-type', 'l', '-delete']);
  const { context } = await storeTree(place.path, tree.root);
  await run(['chown', '-R', '65534:65534', context.storeRoot]);
  await run(['chmod', '-R', 'u+rw', context.storeRoot]);
  await runAsNobody(import.meta.url, place.path, { CELLAR_TEST_STORE: context.storeRoot });
});

describe('without root', { skip: givenStore === undefined ? 'runs as nobody' : false }, () => {
  for (const method of ['copy', 'hardlink'] as const)
    test(`what did not change keeps its owners and devices: ${method}`, async () => {
      using place = makeScratch('nobody');
      const context = { storeRoot: givenStore!, signal: new AbortController().signal, events: () => {} };
      const directory = join(place.path, 'live');
      await checkout(context, { reference, directory, method, writable: method === 'copy' });
      const same = await commit(context, { directory, reference: 'same' });
      assert.deepEqual(diffLines(context, reference, 'same'), []);
      assert.equal(same.tree, contentOf(context, reference));
      if (method === 'hardlink') return;

      const [a, b, c] = plainFiles(directory);
      appendFileSync(join(directory, a!), 'changed');
      chmodSync(join(directory, b!), 0o751);
      unlinkSync(join(directory, c!));
      writeFileSync(join(directory, 'odd/new'), 'new');
      rmSync(join(directory, 'odd/links'), { recursive: true });
      await commit(context, { directory, reference: 'changed' });
      const before = new Map(entriesOf(context, reference).map((entry) => [entry.path, entry]));
      const after = new Map(entriesOf(context, 'changed').map((entry) => [entry.path, entry]));
      assert.equal(after.get(`/${a}`)?.uid, before.get(`/${a}`)?.uid);
      assert.deepEqual(after.get(`/${b}`), { ...before.get(`/${b}`), mode: 0o751 });
      assert.equal(after.get(`/${c}`), undefined);
      assert.equal(after.get('/odd/new')?.uid, 65534);
      const devices = [...before.values()].filter(({ type }) => type === 'block' || type === 'char');
      assert.ok(devices.length > 1);
      for (const device of devices)
        assert.equal(after.has(device.path), !device.path.startsWith('/odd/links/'), device.path);
    });
});

function entriesOf(context: StoredTree['context'], text: string): Entry[] {
  using store = openStore(context.storeRoot);
  return readTree(store, resolveImage(store, text).record.content);
}

function diffLines(context: StoredTree['context'], a: string, b: string): string[] {
  const before = entriesOf(context, a).map((entry) => JSON.stringify(entry));
  const after = new Set(entriesOf(context, b).map((entry) => JSON.stringify(entry)));
  return before.filter((line) => !after.has(line));
}
