/**
 * Checkouts of an ordinary user: content, modes, times and user xattrs arrive; owners, devices and what only root may
 * set are left out and said to be. Run as root, it runs itself again as nobody.
 */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MethodName } from '../../src/checkout/port.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { importImage } from '../../src/ops/import.ts';
import { release } from '../../src/ops/release.ts';
import { obstacleToNobody, runAsNobody } from '../support/as-nobody.ts';
import { compareTrees, type Field } from '../support/compare.ts';
import { kept, reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { hasPrograms } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

const isRoot = process.geteuid?.() === 0;

test('as nobody', { skip: isRoot ? obstacleToNobody : 'is nobody special already' }, async () => {
  using scratch = makeScratch('nobody');
  await runAsNobody(import.meta.url, scratch.path);
});

const fuse =
  hasPrograms('fuse-overlayfs', 'fusermount3') && mayUseFuse() ? false : 'needs fuse-overlayfs and /dev/fuse';

const cases: readonly {
  method: MethodName;
  writable: boolean;
  skip: string | false;
  ignore: readonly Field[];
}[] = [
  { method: 'copy', writable: false, skip: false, ignore: [] },
  { method: 'copy', writable: true, skip: false, ignore: [] },
  { method: 'hardlink', writable: false, skip: false, ignore: ['nlink', 'firstName'] },
  { method: 'fuse-overlayfs', writable: true, skip: fuse, ignore: ['nlink', 'firstName'] },
];

// As root this file runs itself again as nobody (above), and these count there.
if (!isRoot) describe('without root', withoutRoot);

function withoutRoot(): void {
  let scratch: Scratch;
  let tree: TestTree;
  let stored: StoredTree;
  before(async () => {
    scratch = makeScratch('user');
    tree = buildTree({ files: 200, seed: 31, parent: scratch.path });
    stored = await storeTree(scratch.path, tree.root);
    await importImage(stored.context, {
      source: tree.root,
      reference: 'tree:plain',
      exclude: ['odd/.wh.whiteout-like'],
    });
  });
  after(() => {
    scratch[Symbol.dispose]();
  });

  for (const { method, writable, skip, ignore } of cases) {
    test(`${method}, ${writable ? 'writable' : 'read-only'}`, { skip }, async () => {
      const directory = join(stored.work, method);
      const image = method === 'fuse-overlayfs' ? 'tree:plain' : reference;
      const result = await checkout(stored.context, { reference: image, directory, method, writable });
      const include = (path: string): boolean => image === reference || path !== 'odd/.wh.whiteout-like';
      assert.deepEqual(result.skipped, { owners: 0, devices: 0, xattrs: 0 });
      assert.deepEqual(await compareTrees(tree.root, directory, { ignore, include }), []);
      if (writable) appendFileSync(join(directory, 'odd/acl'), 'changed');
      await release(stored.context, { directory, force: true });
      assert.deepEqual(await checkouts(stored.context), []);
      assert.deepEqual(kept(stored.context.storeRoot), []);
    });
  }

  test('auto never takes bare hard links', async () => {
    const directory = join(stored.work, 'auto');
    const { method } = await checkout(stored.context, { reference, directory });
    assert.ok(method === 'reflink' || method === 'copy');
    await release(stored.context, { directory });
  });

  test('refuses to write through hard links', async () => {
    const options = {
      reference,
      directory: join(stored.work, 'no'),
      method: 'hardlink',
      writable: true,
    } as const;
    await assert.rejects(checkout(stored.context, options), (error) =>
      isCellarError(error, 'E_METHOD_UNAVAILABLE'),
    );
  });

  test('a directory that was replaced is not removed', async () => {
    const directory = join(stored.work, 'replaced');
    await checkout(stored.context, { reference, directory });
    const { rmSync } = await import('node:fs');
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory);
    writeFileSync(join(directory, 'mine'), 'mine');
    await assert.rejects(release(stored.context, { directory }), (error) =>
      isCellarError(error, 'E_CHECKOUT_REPLACED'),
    );
    await release(stored.context, { directory, force: true });
    assert.equal(readFileSync(join(directory, 'mine'), 'utf8'), 'mine');
    assert.deepEqual(await checkouts(stored.context), []);
  });
}

function mayUseFuse(): boolean {
  const stat = statSync('/dev/fuse', { throwIfNoEntry: false });
  return stat !== undefined && (stat.mode & 0o006) === 0o006;
}
