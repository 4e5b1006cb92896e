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
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { MethodName } from '../../src/checkout/port.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { commit } from '../../src/ops/commit.ts';
import { release } from '../../src/ops/release.ts';
import { fromText } from '../../src/core/bytes.ts';
import { importImage } from '../../src/ops/import.ts';
import { bindMount } from '../../src/sys/mount.ts';
import { unmount } from '../../src/sys/mount-api.ts';
import { mountsAt } from '../../src/sys/mountinfo.ts';
import { findCheckout, putCheckout } from '../../src/store/checkouts.ts';
import { openStore } from '../../src/store/store.ts';
import { referenceHistory } from '../../src/store/references.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { readTree } from '../../src/store/trees.ts';
import type { Entry } from '../../src/tree/entry.ts';
import { compareTrees, type Field } from '../support/compare.ts';
import { reference, storeTree, type StoredTree } from '../support/checkouts.ts';
import { hasPrograms, needs, run } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
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
      using place = makePlace(disk?.path);
      using tree = buildTree({ files: 300, seed: 5, parent: place.path });
      rmSync(join(tree.root, 'odd/.wh.whiteout-like'), { force: true });
      const { context, work } = await storeTree(place.path, tree.root);
      const directory = join(work, 'live');
      await checkout(context, { reference, directory, method, writable: true });
      const original = treeOf(context, reference);

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
    using place = makePlace();
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

  test('a subtree, shifted owners', async () => {
    using place = makePlace();
    using tree = buildTree({ files: 120, seed: 9, parent: place.path });
    const { context, work } = await storeTree(place.path, tree.root);
    rmSync(join(tree.root, 'odd/large-ids'));
    await importImage(context, { source: tree.root, reference });
    const idmap = '0:200000:3000000';
    for (const method of ['composefs', 'copy'] as const) {
      const directory = join(work, method);
      await checkout(context, { reference, directory, method, writable: true, idmap });
      const same = await commit(context, { directory, reference: `${method}:same` });
      assert.equal(same.tree, treeOf(context, reference));
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
    using place = makePlace();
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

/** A store made by root and given away, with owners, devices and root's xattrs in its tree. */
const givenStore = process.env['CELLAR_TEST_STORE'];

test('a volume that is not mounted is refused: what lies below is empty', { skip }, async () => {
  using place = makePlace();
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

test('as nobody', { skip: skip || needs({ nobody: true, programs: ['setpriv'] }) }, async () => {
  using place = makePlace();
  chmodSync(place.path, 0o777);
  using tree = buildTree({ files: 80, seed: 3, parent: place.path });
  // A file that its owner may not read cannot be committed by him.
  await run(['find', tree.root, '!', '-perm', '-0400', '!', '-type', 'l', '-delete']);
  const { context } = await storeTree(place.path, tree.root);
  await run(['chown', '-R', '65534:65534', context.storeRoot]);
  await run(['chmod', '-R', 'u+rw', context.storeRoot]);
  const drop = [
    'env',
    '-u',
    'NODE_TEST_CONTEXT',
    'setpriv',
    '--reuid=65534',
    '--regid=65534',
    '--clear-groups',
  ];
  const self = [
    '--test',
    '--test-reporter=tap',
    '--test-name-pattern=without root',
    fileURLToPath(import.meta.url),
  ];
  const { code, stdout } = await run([...drop, process.execPath, ...self], {
    env: { TMPDIR: place.path, HOME: place.path, CELLAR_TEST_STORE: context.storeRoot },
  });
  assert.equal(code, 0, stdout.toString());
  assert.match(stdout.toString(), /# pass [1-9]/);
});

describe('without root', { skip: givenStore === undefined ? 'runs as nobody' : false }, () => {
  for (const method of ['copy', 'hardlink'] as const)
    test(`without root, what did not change keeps its owners and devices: ${method}`, async () => {
      using place = makeScratch('nobody');
      const context = { storeRoot: givenStore!, signal: new AbortController().signal, events: () => {} };
      const directory = join(place.path, 'live');
      await checkout(context, { reference, directory, method, writable: method === 'copy' });
      const same = await commit(context, { directory, reference: 'same' });
      assert.deepEqual(diffLines(context, reference, 'same'), []);
      assert.equal(same.tree, treeOf(context, reference));
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

test('any directory, without what is excluded; a dry run writes nothing', async () => {
  using place = makePlace();
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

test('a missing directory, a file', async () => {
  using place = makePlace();
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

/** Ordinary files with one name and some content, in order. */
function plainFiles(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.startsWith(join(root, 'odd')))
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((path) => lstatSync(join(root, path)).nlink === 1 && lstatSync(join(root, path)).size > 10)
    .sort();
}

/** Scratch space whose mounts go with it, also when a test fails in the middle. */
function makePlace(parent = '/var/tmp'): Scratch {
  const scratch = makeScratch('commit', parent);
  return {
    path: scratch.path,
    [Symbol.dispose]() {
      const mounts = mountsAt(fromText(scratch.path), { below: true });
      for (const { mountPoint } of mounts.toReversed()) unmount(mountPoint, { detach: true });
      scratch[Symbol.dispose]();
    },
  };
}

async function assertSame(
  context: StoredTree['context'],
  live: string,
  { shown, ignore }: { shown: string; ignore: readonly Field[] },
): Promise<void> {
  await checkout(context, { reference, directory: shown, method: 'copy' });
  assert.deepEqual(await compareTrees(live, shown, { ignore }), []);
}

function treeOf(context: StoredTree['context'], text: string): string {
  using store = openStore(context.storeRoot);
  return resolveImage(store, text).record.content;
}

function imageOf(context: StoredTree['context'], text: string): string {
  using store = openStore(context.storeRoot);
  return resolveImage(store, text).digest;
}

function historyLength(context: StoredTree['context']): number {
  using store = openStore(context.storeRoot);
  return referenceHistory(store, reference).length;
}
