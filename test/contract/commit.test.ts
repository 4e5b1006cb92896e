/**
 * What is committed is what was there: for every kind of writable checkout, a commit after changes, checked out again as
 * plain files, equals the changed directory under a comparison that shares no code with the product.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { MethodName } from '../../src/checkout/port.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { commit } from '../../src/ops/commit.ts';
import { release } from '../../src/ops/release.ts';
import { fromText } from '../../src/core/bytes.ts';
import { importImage } from '../../src/ops/import.ts';
import { bindMount } from '../../src/sys/mount.ts';
import { unmount } from '../../src/sys/mount-api.ts';
import { findCheckout, putCheckout } from '../../src/store/checkouts.ts';
import { openStore } from '../../src/store/store.ts';
import { referenceHistory } from '../../src/store/references.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { compareTrees, type Field } from '../support/compare.ts';
import { contentOf, plainFiles, reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { hasPrograms, needs } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { buildTree } from '../support/tree.ts';
import { scratchFilesystem, type DiskFilesystem } from '../support/filesystem.ts';

const skip = needs({ root: true });

const cases: readonly {
  method: MethodName;
  filesystem?: DiskFilesystem;
  filesRead?: number;
  skip?: string | false;
}[] = [
  { method: 'composefs', filesRead: 3 },
  { method: 'overlay', filesRead: 3 },
  { method: 'copy' },
  { method: 'reflink', filesystem: 'xfs' },
  { method: 'btrfs', filesystem: 'btrfs' },
  {
    method: 'fuse-overlayfs',
    skip: hasPrograms('fuse-overlayfs', 'fusermount3') ? false : 'needs fuse-overlayfs',
  },
];

/** Their lower files are links to objects, which counts as a name. */
const linked: ReadonlySet<MethodName> = new Set(['overlay', 'fuse-overlayfs']);

describe('commit of a checkout by root', { skip }, () => {
  for (const { method, filesystem, filesRead, skip: without = false } of cases)
    test(method, { skip: without }, async () => {
      using disk = filesystem === undefined ? undefined : scratchFilesystem(filesystem);
      using place = makeScratch('commit', disk?.path ?? '/var/tmp');
      using tree = buildTree({ files: 300, seed: 5, parent: place.path });
      rmSync(join(tree.root, 'odd/.wh.whiteout-like'), { force: true });
      const { context, work } = await storeTree(place.path, tree.root);
      const directory = join(work, 'live');
      await checkout(context, { reference, directory, method, writable: true });
      const original = contentOf(context, reference);

      const same = await commit(context, { directory, reference });
      assert.equal(same.tree, original, 'nothing changed');
      assert.equal(same.unchanged, true);
      assert.ok(same.filesRead === 0 || method === 'fuse-overlayfs', 'and nothing was read');
      assert.equal(historyLength(context), 1, 'and nothing was noted');

      change(directory, plainFiles(tree.root));
      const changed = await commit(context, { directory, reference, labels: { round: '1' } });
      assert.notEqual(changed.tree, original);
      assert.equal(changed.parent, imageOf(context, `${reference}@{1}`));
      if (filesRead !== undefined) assert.equal(changed.filesRead, filesRead, `read, ${changed.way}`);
      const ignore = linked.has(method) ? (['nlink'] as const) : [];
      await assertSame(context, directory, { shown: join(work, 'after'), ignore });

      const again = await commit(context, { directory, reference });
      assert.deepEqual([again.tree, again.unchanged, again.newObjects], [changed.tree, true, 0]);
      assert.equal(historyLength(context), 2);
      await release(context, { directory, force: true });
    });

  test('what is mounted inside is not committed, what it hides is', async () => {
    using place = makeScratch('commit', '/var/tmp');
    using tree = buildTree({ files: 50, parent: place.path });
    const { context, work } = await storeTree(place.path, tree.root);
    for (const method of ['composefs', 'copy'] as const) {
      const directory = join(work, method);
      await checkout(context, { reference, directory, method, writable: true });
      mkdirSync(join(directory, 'proc'), { mode: 0o700 });
      writeFileSync(join(directory, 'proc/hidden'), 'hidden');
      const before = await commit(context, { directory, reference: `${method}:before` });
      bindMount('/proc', join(directory, 'proc'));
      const mounted = await commit(context, { directory, reference: `${method}:mounted` });
      unmount(join(directory, 'proc'));
      assert.equal(mounted.tree, before.tree);
      await release(context, { directory, force: true });
    }
  });

  test('owners that were shifted for the checkout are shifted back', async () => {
    using place = makeScratch('commit', '/var/tmp');
    using tree = buildTree({ files: 120, seed: 9, parent: place.path });
    const { context, work } = await storeTree(place.path, tree.root);
    rmSync(join(tree.root, 'odd/large-ids'));
    await importImage(context, { source: tree.root, reference });
    const idmap = '0:200000:3000000';
    for (const method of ['composefs', 'copy'] as const) {
      const directory = join(work, method);
      await checkout(context, { reference, directory, method, writable: true, idmap });
      const same = await commit(context, { directory, reference: `${method}:same` });
      assert.equal(same.tree, contentOf(context, reference));
      const file = join(directory, 'added');
      writeFileSync(file, 'by the container');
      chownSync(file, 200_007, 200_008);
      chmodSync(join(directory, plainFiles(tree.root)[0]!), 0o600);
      await commit(context, { directory, reference: `${method}:shifted` });
      const shown = join(work, `${method}-shown`);
      await checkout(context, { reference: `${method}:shifted`, directory: shown, method: 'copy' });
      const { uid, gid } = lstatSync(join(shown, 'added'));
      assert.deepEqual([uid, gid], [7, 8]);
      const original = await compareTrees(tree.root, shown);
      assert.deepEqual(
        original.filter(
          (line) => !line.includes('added') && !line.startsWith('".": mtime') && !line.includes('mode'),
        ),
        [],
      );
      writeFileSync(join(directory, 'foreign'), 'by the host');
      await assert.rejects(
        commit(context, { directory, reference: 'x' }),
        (error) =>
          isCellarError(error, 'E_TREE_INVALID') && String(error.details['path']).endsWith('/foreign'),
      );
      await release(context, { directory, force: true });
    }
  });

  test('a checkout that is not mounted is refused', async () => {
    using place = makeScratch('commit', '/var/tmp');
    using tree = buildTree({ files: 20, parent: place.path });
    const { context, work } = await storeTree(place.path, tree.root);
    const directory = join(work, 'live');
    await checkout(context, { reference, directory, method: 'composefs', writable: true });
    writeFileSync(join(directory, 'new'), 'new');
    unmount(directory);
    await assert.rejects(commit(context, { directory, reference }), (error) =>
      isCellarError(error, 'E_CHECKOUT_UNMOUNTED'),
    );
    await release(context, { directory, force: true });
  });
});

test('a volume that is not mounted is refused: what lies below is empty', { skip }, async () => {
  using place = makeScratch('commit', '/var/tmp');
  using tree = buildTree({ files: 5, parent: place.path });
  const { context, work } = await storeTree(place.path, tree.root);
  const directory = join(work, 'volume');
  await checkout(context, { reference, directory, writable: true, method: 'copy' });
  rmSync(directory, { recursive: true });
  mkdirSync(directory);
  {
    using store = openStore(context.storeRoot);
    const { identity: _identity, ...row } = findCheckout(store, fromText(directory))!;
    putCheckout(store, { ...row, method: 'lvm' });
  }
  await assert.rejects(commit(context, { directory, reference: 'lost:1' }), (error) =>
    isCellarError(error, 'E_CHECKOUT_UNMOUNTED'),
  );
});

test('any directory, without what is excluded; a dry run writes nothing', async () => {
  using place = makeScratch('commit', '/var/tmp');
  using tree = buildTree({ files: 60, parent: place.path });
  const { context, work } = await storeTree(place.path, tree.root);
  writeFileSync(join(tree.root, 'left-out.log'), 'x');
  const options = { directory: tree.root, reference: 'any:v1', exclude: ['*.log'] };
  const dry = await commit(context, { ...options, dryRun: true });
  assert.equal(dry.image, undefined);
  const result = await commit(context, options);
  assert.equal(result.tree, dry.tree);
  assert.equal(result.way, 'scanned');
  const shown = join(work, 'shown');
  await checkout(context, { reference: 'any:v1', directory: shown, method: 'copy' });
  rmSync(join(tree.root, 'left-out.log'));
  assert.deepEqual(
    (await compareTrees(tree.root, shown)).filter((line) => !line.startsWith('".": mtime')),
    [],
  );
});

test('a missing directory and a file are refused', async () => {
  using place = makeScratch('commit', '/var/tmp');
  const context = {
    storeRoot: join(place.path, 'store'),
    signal: new AbortController().signal,
    events: () => {},
  };
  await assert.rejects(commit(context, { directory: join(place.path, 'none'), reference: 'x' }), (error) =>
    isCellarError(error, 'E_SOURCE_NOT_FOUND'),
  );
  writeFileSync(join(place.path, 'file'), '');
  await assert.rejects(commit(context, { directory: join(place.path, 'file'), reference: 'x' }), (error) =>
    isCellarError(error, 'E_USAGE'),
  );
});

/** Three files whose content must be read afterwards, and much that needs none read. */
function change(root: string, [a, b, c, d]: readonly string[]): void {
  appendFileSync(join(root, a!), 'changed');
  const { atime, mtime, size } = lstatSync(join(root, b!));
  writeFileSync(join(root, b!), Buffer.alloc(size, 'same size'));
  utimesSync(join(root, b!), atime, mtime);
  chmodSync(join(root, c!), 0o4755);
  unlinkSync(join(root, d!));
  mkdirSync(join(root, 'new/below'), { recursive: true });
  writeFileSync(join(root, 'new/below/file'), 'new');
  linkSync(join(root, 'new/below/file'), join(root, 'new/link'));
  symlinkSync('below/file', join(root, 'new/symlink'));
  renameUnlessRefused(join(root, 'odd'), join(root, 'new/odd'));
}

/** fuse-overlayfs cannot move directories of its lower layer. */
function renameUnlessRefused(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error;
  }
}

async function assertSame(
  context: StoredTree['context'],
  live: string,
  { shown, ignore }: { shown: string; ignore: readonly Field[] },
): Promise<void> {
  await checkout(context, { reference, directory: shown, method: 'copy' });
  assert.deepEqual(await compareTrees(live, shown, { ignore }), []);
}

function imageOf(context: StoredTree['context'], text: string): string {
  using store = openStore(context.storeRoot);
  return resolveImage(store, text).digest;
}

function historyLength(context: StoredTree['context']): number {
  using store = openStore(context.storeRoot);
  return referenceHistory(store, reference).length;
}
