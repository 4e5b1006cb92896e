/**
 * What every checkout method keeps to, on every file system it serves on: the checkout equals the tree, read-only means
 * read-only, writing changes nothing else, damage is refused, a failure leaves nothing, and release gives all back.
 */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fromText } from '../../src/core/bytes.ts';
import { isCellarError } from '../../src/core/errors.ts';
import { methodNames, type MethodName } from '../../src/checkout/port.ts';
import { checkout } from '../../src/ops/checkout.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { fsck } from '../../src/ops/fsck.ts';
import { gc } from '../../src/ops/gc.ts';
import { importImage } from '../../src/ops/import.ts';
import { release } from '../../src/ops/release.ts';
import { openStore } from '../../src/store/store.ts';
import { treeObjects } from '../../src/store/trees.ts';
import { objectFile } from '../../src/store/layout.ts';
import { resolveImage } from '../../src/store/resolve.ts';
import { clampTime } from '../../src/store/variants.ts';
import { bindMount } from '../../src/sys/mount.ts';
import { compareTrees, snapshot, differences, type Field, type Snapshot } from '../support/compare.ts';
import { kept, reference, storeTree, traces, type StoredTree } from '../support/checkouts.ts';
import { needsRoot } from '../support/filesystem.ts';
import { makeLoopFilesystem, type LoopFilesystem, type LoopType } from '../support/loopfs.ts';
import { setMtime } from '../support/raw.ts';
import { hasPrograms } from '../support/run.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

interface Case {
  readonly method: MethodName;
  readonly writable: boolean;
}

const cases: Readonly<Partial<Record<LoopType, readonly Case[]>>> = {
  ext4: [
    { method: 'composefs', writable: false },
    { method: 'composefs', writable: true },
    { method: 'overlay', writable: true },
    { method: 'hardlink', writable: false },
    { method: 'copy', writable: false },
    { method: 'copy', writable: true },
    { method: 'fuse-overlayfs', writable: true },
  ],
  xfs: [
    { method: 'composefs', writable: true },
    { method: 'reflink', writable: true },
    { method: 'overlay', writable: true },
    { method: 'hardlink', writable: false },
  ],
  btrfs: [
    { method: 'composefs', writable: true },
    { method: 'btrfs', writable: false },
    { method: 'btrfs', writable: true },
    { method: 'reflink', writable: false },
    { method: 'hardlink', writable: false },
  ],
};

/** Files of one inode in a hard-link checkout are those with equal content and metadata; so link counts differ. */
const shares: Readonly<Partial<Record<MethodName, readonly Field[]>>> = {
  hardlink: ['nlink', 'firstName'],
  // The lower files are links of the store's objects.
  overlay: ['nlink'],
  'fuse-overlayfs': ['nlink', 'firstName'],
};

const withoutWhiteouts = 'tree:plain';

const kernelsOwn = (name: string): boolean =>
  name.startsWith('trusted.SGI_ACL_') || name === 'security.selinux';
const sealed = new Set<MethodName>(['composefs', 'hardlink']);
const mounting = new Set<MethodName>(['composefs', 'overlay', 'hardlink', 'fuse-overlayfs']);

for (const [type, list] of Object.entries(cases) as [LoopType, readonly Case[]][]) {
  const missing = type !== 'ext4' && !hasPrograms(`mkfs.${type}`) ? `needs mkfs.${type}` : needsRoot;
  describe(`on ${type}`, { skip: missing }, () => {
    let disk: LoopFilesystem;
    let tree: TestTree;
    let original: Snapshot;
    let stored: StoredTree;

    before(async () => {
      disk = await makeLoopFilesystem({ type, size: 512 << 20 });
      tree = buildTree({ files: 300, seed: 21, parent: disk.mount });
      original = await snapshot(tree.root);
      stored = await storeTree(disk.mount, tree.root);
      await importImage(stored.context, {
        source: tree.root,
        reference: withoutWhiteouts,
        exclude: ['odd/.wh.whiteout-like'],
      });
    });
    const wanted = (image: string): Snapshot =>
      image === reference
        ? original
        : new Map([...original].filter(([path]) => path !== 'odd/.wh.whiteout-like'));
    after(async () => {
      await disk[Symbol.asyncDispose]();
    });

    for (const { method, writable } of list) {
      const program = method === 'fuse-overlayfs' && !hasPrograms('fuse-overlayfs');
      const skip = program ? 'needs fuse-overlayfs' : false;
      // fuse-overlayfs takes this name for a deletion, and says so.
      const image = method === 'fuse-overlayfs' ? withoutWhiteouts : reference;
      const options = { reference: image, method, writable };

      describe(`${method}, ${writable ? 'writable' : 'read-only'}`, { skip }, () => {
        test('equals the tree', async () => {
          const directory = join(stored.work, 'equal');
          const result = await checkout(stored.context, { ...options, directory });
          assert.equal(result.method, method);
          assert.deepEqual(result.skipped, { owners: 0, devices: 0, xattrs: 0 });
          const ignore = shares[method] ?? [];
          const found = await snapshot(directory);
          assert.deepEqual(differences(wanted(image), found, { ignore, ignoreXattr: kernelsOwn }), []);
          await release(stored.context, { directory });
        });

        test('is on record, pins its tree and goes without a trace', async () => {
          const directory = join(stored.work, 'recorded');
          await checkout(stored.context, { ...options, directory });
          const [row] = await checkouts(stored.context);
          assert.equal(row?.path, directory);
          assert.equal(row.state, 'ready');
          assert.deepEqual([row.method, row.writable, row.reference], [method, writable, image]);
          const result = await release(stored.context, { directory });
          assert.equal(result.released, true);
          assert.deepEqual(await checkouts(stored.context), []);
          assert.equal(existsSync(directory), false);
          assert.deepEqual(
            traces(disk.mount).filter((line) => line.includes('cellar:')),
            [],
          );
          assert.deepEqual(kept(stored.context.storeRoot), []);
        });

        test('takes an empty directory and refuses one that is not', async () => {
          const directory = join(stored.work, 'there');
          mkdirSync(directory);
          await checkout(stored.context, { ...options, directory });
          await release(stored.context, { directory });
          mkdirSync(directory, { recursive: true });
          writeFileSync(join(directory, 'mine'), 'mine');
          await assert.rejects(checkout(stored.context, { ...options, directory }), (error) =>
            isCellarError(error, 'E_DESTINATION_EXISTS'),
          );
          assert.deepEqual(readdirSync(directory), ['mine']);
          rmSync(directory, { recursive: true });
        });

        test(writable ? 'writing changes nothing else' : 'keeps what it shows', async () => {
          const directory = join(stored.work, 'written');
          const other = join(stored.work, 'other');
          await checkout(stored.context, { ...options, directory });
          const file = join(directory, 'odd/acl');
          if (writable) {
            appendFileSync(file, 'changed');
            assert.equal(readFileSync(file, 'utf8'), 'aclchanged');
          } else if (sealed.has(method)) {
            assert.throws(() => appendFileSync(file, 'changed'), /EROFS/);
            assert.throws(() => utimesSync(file, 1, 1), /EROFS/);
          }
          await checkout(stored.context, { ...options, directory: other });
          const found = await snapshot(other);
          const ignore = shares[method] ?? [];
          assert.deepEqual(differences(wanted(image), found, { ignore, ignoreXattr: kernelsOwn }), []);
          if (writable && mounting.has(method))
            await assert.rejects(release(stored.context, { directory }), (error) =>
              isCellarError(error, 'E_CHECKOUT_CHANGED'),
            );
          await release(stored.context, { directory, force: true });
          await release(stored.context, { directory: other });
          assert.deepEqual(kept(stored.context.storeRoot), []);
        });

        test('shows a subtree', async () => {
          const directory = join(stored.work, 'subtree');
          await checkout(stored.context, { ...options, directory, subpath: 'odd' });
          const ignore: Field[] = [...(shares[method] ?? []), 'nlink', 'firstName'];
          const include = (path: string): boolean => image === reference || path !== '.wh.whiteout-like';
          assert.deepEqual(
            await compareTrees(join(tree.root, 'odd'), directory, {
              ignore,
              ignoreXattr: kernelsOwn,
              include,
            }),
            [],
          );
          await release(stored.context, { directory });
        });

        for (const [what, damage, code] of [
          ['a flipped bit', flip, 'E_OBJECT_DAMAGED'],
          ['a missing object', remove, 'E_OBJECT_MISSING'],
        ] as const) {
          test(`refuses ${what} and leaves nothing`, async () => {
            const directory = join(stored.work, 'damaged');
            // A btrfs base has extents of its own, which are whole: without it the objects are read again.
            if (method === 'btrfs') await gc(stored.context, {});
            using _ = damage(stored);
            await assert.rejects(checkout(stored.context, { ...options, directory }), (error) =>
              isCellarError(error, code),
            );
            assert.equal(existsSync(directory), false);
            assert.deepEqual(readdirSync(stored.work), []);
            assert.deepEqual(kept(stored.context.storeRoot), []);
          });
        }
      });
    }

    test('shifts owners alike, by the kernel and by hand', async () => {
      const idmap = '0:100000:4200000000';
      const show = async (method: MethodName): Promise<Snapshot> => {
        const directory = join(stored.work, `shifted-${method}`);
        await checkout(stored.context, { reference, directory, method, writable: true, idmap });
        return snapshot(directory);
      };
      const byKernel = await show('composefs');
      const byHand = await show('copy');
      const shifted = new Map(
        [...original].map(([path, node]) => [
          path,
          { ...node, uid: node.uid + 100_000, gid: node.gid + 100_000 },
        ]),
      );
      assert.deepEqual(differences(shifted, byHand, { ignore: ['xattrs'] }), []);
      assert.deepEqual(differences(byHand, byKernel, { ignoreXattr: kernelsOwn }), []);
      for (const method of ['composefs', 'copy'])
        await release(stored.context, { directory: join(stored.work, `shifted-${method}`) });
    });

    test('a checkout in use is not taken away', async () => {
      const directory = join(stored.work, 'busy');
      await checkout(stored.context, { reference, directory, writable: true });
      const inside = spawn('sleep', ['60'], { cwd: directory });
      await once(inside, 'spawn');
      await assert.rejects(release(stored.context, { directory }), (error) =>
        isCellarError(error, 'E_CHECKOUT_BUSY'),
      );
      assert.equal((await checkouts(stored.context))[0]?.state, 'ready');
      const { released } = await release(stored.context, { directory, force: true });
      assert.equal(released, true);
      inside.kill();
    });

    // Once is enough: the other namespace holds the mounts of all that runs beside this as well.
    if (type === 'ext4')
      test('a checkout seen in another mount namespace stays pinned', async () => {
        const directory = join(stored.work, 'elsewhere');
        await checkout(stored.context, { reference, directory, writable: true });
        writeFileSync(join(directory, 'changed'), 'x');
        // A private copy of all mounts, as a service with its own namespace has.
        const other = spawn('unshare', ['-m', 'sh', '-c', `echo in; read -r _; cat ${directory}/changed`]);
        await once(other.stdout, 'data');
        const { released } = await release(stored.context, { directory, force: true });
        assert.equal(released, false);
        assert.equal((await checkouts(stored.context))[0]?.state, 'releasing');
        other.stdin.write('\n');
        const [content] = (await once(other.stdout, 'data')) as [Buffer];
        assert.equal(content.toString(), 'x');
        await once(other, 'close');
        assert.equal((await release(stored.context, { directory, force: true })).released, true);
        assert.deepEqual(kept(stored.context.storeRoot), []);
      });

    test('fsck finds nothing wrong after all that, nor after a checkout with one time', async () => {
      const directory = join(stored.work, 'clamped');
      await checkout(stored.context, { reference, directory, method: 'hardlink', mtime: 'clamp' });
      const times = new Set([...(await snapshot(directory)).values()].map(({ mtime }) => mtime));
      assert.deepEqual([...times], [BigInt(clampTime) * 1_000_000_000n]);
      await release(stored.context, { directory });
      assert.deepEqual((await fsck(stored.context, {})).damaged, []);
    });

    test('what somebody left who was killed is in nobody’s way', async () => {
      const directory = join(stored.work, 'after-a-kill');
      const home = join(stored.context.storeRoot, 'mnt');
      const take = async (method: MethodName): Promise<void> => {
        await checkout(stored.context, { reference, directory, method });
        await release(stored.context, { directory });
      };
      // Half of a base, whose removal begins with the mark that it is whole.
      await take('hardlink');
      for (const key of readdirSync(join(home, 'linked'))) rmSync(join(home, 'linked', key, 'at'));
      await take('hardlink');
      // What is mounted only for a moment.
      const left = join(home, 'whole/left');
      mkdirSync(left, { recursive: true });
      bindMount(fromText(tree.root), fromText(left));
      await take('composefs');
      assert.deepEqual(readdirSync(join(home, 'whole')), []);
    });

    test('gc takes the bases that nobody stands on', async () => {
      await gc(stored.context, {});
      for (const kind of ['linked', 'base', 'subvolumes']) {
        const home = join(stored.context.storeRoot, 'mnt', kind);
        assert.deepEqual(existsSync(home) ? readdirSync(home) : [], []);
      }
    });

    test('every method is somewhere in this suite', () => {
      const tested = new Set(Object.values(cases).flatMap((all) => all.map(({ method }) => method)));
      // Volumes take a kernel of their own: lvm is in test/vm. Nothing that we can boot has ZFS.
      assert.deepEqual([...tested, 'lvm', 'zfs'].sort(), [...methodNames].sort());
    });
  });
}

/** One bit of one object changes. */
function flip(stored: StoredTree): Disposable {
  const file = someObject(stored);
  const content = readFileSync(file);
  const { mtimeNs } = statSync(file, { bigint: true });
  const damaged = Buffer.from(content);
  damaged[0]! ^= 1;
  writeFileSync(file, damaged);
  return {
    [Symbol.dispose]() {
      writeFileSync(file, content);
      setMtime(Buffer.from(file), mtimeNs);
    },
  };
}

function remove(stored: StoredTree): Disposable {
  const file = someObject(stored);
  renameSync(file, `${file}.away`);
  return { [Symbol.dispose]: () => renameSync(`${file}.away`, file) };
}

function someObject({ context }: StoredTree): string {
  using store = openStore(context.storeRoot);
  const objects = treeObjects(store, resolveImage(store, reference).record.content);
  return objectFile(store.root, objects[Math.floor(objects.length / 2)]!);
}
