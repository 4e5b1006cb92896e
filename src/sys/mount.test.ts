import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { test } from 'node:test';
import { needsRoot, scratchDirectory } from '../../test/support/filesystem.ts';
import { needs } from '../../test/support/run.ts';
import { fromText, toBytes, type ByteString } from '../core/bytes.ts';
import { kernelVersion, type KernelVersion } from './kernel.ts';
import { attachLoop, findLoop } from './loop.ts';
import { bindMount, idmapMount, makePrivate, mountErofs, openErofs } from './mount.ts';
import { attachMount, unmount } from './mount-api.ts';
import { mountsAt } from './mountinfo.ts';
import { mountOverlay } from './overlay.ts';
import { lstatFull } from './stat.ts';
import { openUserNamespace } from './user-namespace.ts';
import { listXattrs, setXattr } from './xattr.ts';

const needsErofs = needs({ root: true, programs: ['mkfs.erofs'] });

test(
  'a mount is found at a path with every byte that its list writes in another way',
  { skip: needsErofs },
  () => {
    using scratch = scratchDirectory();
    const image = erofsImage(scratch.path);
    const target = directory(fromText(`${scratch.path}/a b\tc\nd\\e#f\\040g`) + '\xff');
    mountErofs({ image, target, noacl: true });
    using _mounted = mounted(target);
    assert.equal(mountsAt(target).length, 1);
    assert.equal(mountsAt(fromText(scratch.path), { below: true }).length, 1);
    assert.deepEqual(mountsAt(fromText(`${scratch.path}/a`)), []);
  },
);

test('erofs, by loop device and from the file; nothing is left when it goes', { skip: needsErofs }, () => {
  using scratch = scratchDirectory();
  const image = erofsImage(scratch.path);
  const target = directory(`${scratch.path}/m`);
  for (const backing of ['loop', 'file', 'auto'] as const) {
    {
      mountErofs({ image, target, backing, noacl: true });
      using _mounted = mounted(target);
      assert.equal(readFileSync(`${target}/plain`, 'utf8'), 'plain');
      assert.throws(() => writeFileSync(`${target}/plain`, 'x'), { code: 'EROFS' });
      assert.equal(mountsAt(target).at(-1)?.type, 'erofs');
      assert.equal(findLoop(image) === undefined, backing === 'file');
    }
    assert.equal(findLoop(image), undefined);
  }
});

test('a damaged image is refused and leaves no loop device', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  writeFileSync(`${scratch.path}/bad`, Buffer.alloc(8192));
  assert.throws(() => openErofs({ image: `${scratch.path}/bad` }), {
    code: 'EINVAL',
    syscall: 'mount erofs',
  });
  assert.equal(findLoop(`${scratch.path}/bad`), undefined);
});

test('a loop device is found by its image, and freed by the last close', { skip: needsErofs }, () => {
  using scratch = scratchDirectory();
  const image = erofsImage(scratch.path);
  const { device, fd } = attachLoop(image);
  assert.equal(findLoop(image), device);
  assert.throws(() => writeFileSync(device, 'x'), { code: 'EPERM' });
  closeSync(fd);
  assert.equal(findLoop(image), undefined);
});

/** The running kernel, and the ways of older ones, which newer kernels still offer. */
const kernels: readonly KernelVersion[] = [kernelVersion(), [6, 10], [6, 6]];

for (const kernel of kernels)
  test(
    `overlay over erofs with data-only layers, as on Linux ${kernel.join('.')}`,
    { skip: needsErofs },
    () => {
      using scratch = scratchDirectory();
      // Names that the options of mount(8) would take apart.
      const odd = directory(fromText(`${scratch.path}/a:b,c\\d é "x" lowerdir=`) + '\xff');
      const [objects, more] = [
        directory(`${odd}/objects`),
        directory(`${scratch.path}/${'long'.repeat(60)}`),
      ];
      writeFileSync(toBytes(`${objects}/content`), 'from objects');
      writeFileSync(toBytes(`${more}/other`), 'from another');
      using lower = openErofs({ image: erofsImage(scratch.path) });
      const [target, upper, work] = [
        directory(`${scratch.path}/m`),
        directory(`${odd}/up`),
        directory(`${odd}/work`),
      ];
      {
        mountOverlay({ lower: [lower], data: [objects, more], upper, work, target }, kernel);
        using _mounted = mounted(target);
        assert.deepEqual(readdirSync(target).sort(), ['one', 'plain', 'two']);
        assert.equal(readFileSync(`${target}/one`, 'utf8'), 'from objects');
        assert.equal(readFileSync(`${target}/two`, 'utf8'), 'from another');
        writeFileSync(`${target}/one`, 'changed');
        const settings = mountsAt(target).at(-1)?.superOptions ?? [];
        for (const wanted of ['redirect_dir=on', 'metacopy=on', 'index=on'])
          assert.ok(settings.includes(wanted));
      }
      assert.equal(readFileSync(toBytes(`${upper}/one`), 'utf8'), 'changed');
      assert.equal(readFileSync(toBytes(`${objects}/content`), 'utf8'), 'from objects');
    },
  );

test('an overlay without an upper is read-only; its source is shown', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  const [a, b] = [directory(`${scratch.path}/a`), directory(`${scratch.path}/b`)];
  writeFileSync(`${a}/f`, 'top');
  writeFileSync(`${b}/f`, 'bottom');
  const target = directory(`${scratch.path}/m`);
  mountOverlay({ lower: [a, b], target, source: 'cellar:x' });
  using _mounted = mounted(target);
  assert.equal(readFileSync(`${target}/f`, 'utf8'), 'top');
  assert.throws(() => writeFileSync(`${target}/f`, 'x'), { code: 'EROFS' });
  assert.equal(mountsAt(target).at(-1)?.source, 'cellar:x');
});

test('what an overlay cannot take is refused in the kernel’s words', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  const [a, target] = [directory(`${scratch.path}/a`), directory(`${scratch.path}/m`)];
  assert.throws(() => mountOverlay({ lower: [a], target, options: { metacopy: 'on', nonsense: '1' } }), {
    code: 'EINVAL',
    message: /nonsense/,
  });
  assert.equal(mountsAt(target).length, 0);
});

test('a sealed bind mount holds against root and does not bring mounts below', { skip: needsRoot }, () => {
  using scratch = scratchDirectory();
  const [source, target] = [directory(`${scratch.path}/s`), directory(`${scratch.path}/t`)];
  const below = directory(`${source}/below`);
  writeFileSync(`${source}/f`, 'x');
  bindMount(scratch.path, below);
  using _below = mounted(below);
  bindMount(source, target, { readOnly: true });
  using _target = mounted(target);
  assert.throws(() => writeFileSync(`${target}/f`, 'y'), { code: 'EROFS' });
  writeFileSync(`${source}/f`, 'z');
  assert.equal(readFileSync(`${target}/f`, 'utf8'), 'z');
  assert.deepEqual(readdirSync(`${target}/below`), []);
  makePrivate(target);
  assert.deepEqual(mountsAt(target).at(-1)?.propagation, []);
});

test(
  'owners are mapped on the EROFS layer, and an overlay over it shows them',
  { skip: needsErofs },
  async () => {
    using scratch = scratchDirectory();
    const image = erofsImage(scratch.path);
    const ranges = [{ inside: 0, outside: 100_000, count: 65_536 }];
    using namespace = await openUserNamespace({ uids: ranges, gids: ranges });
    using layer = openErofs({ image });
    idmapMount(layer, namespace.fd);
    const [lower, target] = [directory(`${scratch.path}/l`), directory(`${scratch.path}/m`)];
    attachMount(layer, lower);
    using _lower = mounted(lower);
    mountOverlay({ lower: [lower], data: [scratch.path], target });
    using _target = mounted(target);
    for (const file of [`${lower}/plain`, `${target}/plain`, `${target}/one`])
      assert.deepEqual([lstatFull(file).uid, lstatFull(file).gid], [100_000, 100_000]);
  },
);

test('xattrs are read through an EROFS mount', { skip: needsErofs }, () => {
  using scratch = scratchDirectory();
  const target = directory(`${scratch.path}/m`);
  mountErofs({ image: erofsImage(scratch.path), target });
  using _mounted = mounted(target);
  assert.deepEqual(
    listXattrs(`${target}/one`).map(([name]) => name),
    ['trusted.overlay.metacopy', 'trusted.overlay.redirect'],
  );
});

/** `plain` with content of its own; `one` and `two`, whose content lies in data layers. */
function erofsImage(scratch: string): ByteString {
  const image = `${scratch}/image.erofs`;
  if (existsSync(image)) return image;
  const tree = directory(`${scratch}/tree`);
  writeFileSync(`${tree}/plain`, 'plain');
  for (const [name, redirect] of [
    ['one', '/content'],
    ['two', '/other'],
  ] as const) {
    writeFileSync(`${tree}/${name}`, '');
    truncateSync(`${tree}/${name}`, 'from objects'.length);
    setXattr(`${tree}/${name}`, 'trusted.overlay.metacopy', '');
    setXattr(`${tree}/${name}`, 'trusted.overlay.redirect', redirect);
  }
  execFileSync('mkfs.erofs', ['--quiet', image, tree], { stdio: 'pipe' });
  return image;
}

function directory(path: ByteString): ByteString {
  mkdirSync(toBytes(path));
  return path;
}

/** Unmounts at the end of the scope, whatever happened in it. */
function mounted(target: ByteString): Disposable {
  return { [Symbol.dispose]: () => void unmount(target, { detach: true }) };
}
