/** What artifacts hold is the tree, as the programs that read them see it; and the same tree gives the same bytes. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { compareTrees, type CompareOptions } from '../support/compare.ts';
import { needs, quote, run, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { archive, hardlink, member, pax, symlink } from '../support/tar-builder.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

const skip = (...programs: string[]) => needs({ root: true, programs: ['getfattr', ...programs] });
const scratch = makeScratch('artifacts');
const file = (name: string): string => join(scratch.path, name);
const stores = [file('store'), file('other')];
const seconds: CompareOptions = { wholeSeconds: true };
let tree: TestTree;

before(async () => {
  tree = buildTree({ files: 60, seed: 31, packable: true, parent: scratch.path });
  const odd = join(tree.root, 'odd');
  // Times that hardly any format holds, and names of 255 bytes, which mkfs.erofs 1.5 cannot read.
  for (const name of ['mode-777', 'mode-400', 'mode-4755']) rmSync(join(odd, name));
  for (const name of readdirSync(Buffer.from(odd), { encoding: 'buffer' }))
    if (name.length === 255) rmSync(Buffer.concat([Buffer.from(`${odd}/`), name]));
  mkdirSync(join(tree.root, 'boot'));
  for (const name of ['vmlinuz-6.1.0-9', 'vmlinuz-6.1.0-10', 'initrd.img-6.1.0-10'])
    writeFileSync(join(tree.root, 'boot', name), name);
  chmodSync(tree.root, 0o711);
  for (const store of stores) await cellarOk(['import', tree.root, 'x:1'], { store });
});

after(() => {
  tree[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

/** Deploys in both stores; @returns where the artifact of the first is, after comparing it with the other. */
async function artifact(kind: string, name: string): Promise<string> {
  const [one, other] = [file(name), file(`other-${name}`)];
  await cellarOk(['deploy', 'x:1', `${kind}:${one}`], { store: stores[0]! });
  await cellarOk(['deploy', 'x:1', `${kind}:${other}`], { store: stores[1]! });
  assert.equal((await run(['cmp', one, other])).code, 0, `${kind} differs`);
  return one;
}

/** What a file system image shows, mounted read-only. */
async function mounted(image: string, options: string, compare: CompareOptions): Promise<string[]> {
  const place = `${image}.mounted`;
  mkdirSync(place);
  await sh(`mount -o loop,ro,${options} ${quote(image)} ${quote(place)}`);
  try {
    return await compareTrees(tree.root, place, compare);
  } finally {
    await sh(`umount ${quote(place)}`);
  }
}

test('tar: what export writes; packed by its suffix', { skip: skip('zstd', 'xz', 'gzip') }, async () => {
  const plain = await artifact('tar', 'x.tar');
  await cellarOk(['export', 'x:1', file('exported.tar')], { store: stores[0]! });
  await sh(`cmp ${quote(plain)} ${quote(file('exported.tar'))}`);
  for (const [suffix, program] of [
    ['gz', 'gzip'],
    ['xz', 'xz'],
    ['zst', 'zstd'],
  ] as const) {
    const packed = file(`x.tar.${suffix}`);
    await cellarOk(['deploy', 'x:1', `tar:${packed}`], { store: stores[0]! });
    await sh(`${program} -dc ${quote(packed)} | cmp - ${quote(plain)}`);
  }
  const refused = await cellar(['deploy', 'x:1', `tar:${file('x.tar.bz2')}`], { store: stores[0]! });
  assert.match(refused.stderr, /E_TARGET_INVALID/);
});

test('cpio: what cpio and bsdtar unpack', { skip: skip('cpio', 'bsdtar', 'zstd', 'gzip') }, async () => {
  const plain = await artifact('cpio', 'x.cpio');
  for (const [command, ignore] of [
    ['bsdtar -xpf -', ['xattrs']],
    // It does not restore times of directories and symlinks.
    ['cpio -idm --quiet', ['xattrs', 'mtime']],
  ] as const) {
    const place = file(command.split(' ')[0]!);
    mkdirSync(place);
    chmodSync(place, 0o711);
    // Neither touches the directory it stands in.
    await sh(`${command} <${quote(plain)}; touch -r ${quote(tree.root)} .`, { cwd: place });
    assert.deepEqual(await compareTrees(tree.root, place, { ...seconds, ignore }), []);
  }
  for (const [suffix, program] of [
    ['gz', 'gzip'],
    ['zst', 'zstd'],
  ] as const) {
    const packed = await artifact('cpio', `x.cpio.${suffix}`);
    await sh(`${program} -dc ${quote(packed)} | cmp - ${quote(plain)}`);
  }
  // One frame: each further one would be another archive to the kernel.
  assert.match(await sh(`zstd -lv ${quote(file('x.cpio.zst'))} 2>&1`), /Frames: 1\b/);
});

const ignoreXattr = (name: string): boolean => name.startsWith('system.posix_acl');

test('squashfs: what the kernel mounts', { skip: skip('tar2sqfs') }, async () => {
  const image = await artifact('squashfs', 'x.squashfs');
  assert.deepEqual(await mounted(image, 'nodev', { ...seconds, ignoreXattr }), []);
});

test('erofs: what the kernel mounts', { skip: skip('mkfs.erofs') }, async () => {
  const image = await artifact('erofs', 'x.erofs');
  assert.deepEqual(await mounted(image, 'nodev', seconds), []);
});

test(
  'what squashfs, erofs and ext4 have no place for is counted',
  { skip: skip('tar2sqfs', 'mkfs.erofs', 'mke2fs') },
  async () => {
    const store = stores[0]!;
    const before1970 = [pax([['mtime', '-5']]), member({ name: 'old' })];
    const attributes = [
      ...[pax([['SCHILY.xattr.btrfs.compression', 'zstd']]), member({ name: 'a' })],
      ...[pax([['SCHILY.xattr.user.100%25', 'x']]), member({ name: 'b' })],
      ...[pax([['SCHILY.xattr.user.kept', 'x']]), member({ name: 'c' })],
    ];
    await cellarOk(['import', '-', 'odd:1'], { store, input: archive(...before1970, ...attributes) });
    await cellarOk(['import', '-', 'odd:2'], { store, input: archive(...before1970) });
    const squashfs = await cellar(['deploy', 'odd:1', `squashfs:${file('odd.squashfs')}`], { store });
    assert.match(
      squashfs.stderr,
      /extended attributes of other names than .* \(2\), times before 1970 .* \(1\)/,
    );
    const erofs = await cellar(['deploy', 'odd:2', `erofs:${file('odd.erofs')}`], { store });
    assert.match(erofs.stderr, /erofs cannot hold times before 1970 \(1\)/);
    const links = archive(symlink('link', 'to'), hardlink('same', 'link'));
    await cellarOk(['import', '-', 'odd:3'], { store, input: links });
    const ext4 = await cellar(['deploy', 'odd:3', `ext4:${file('odd.ext4')}`], { store });
    assert.match(ext4.stderr, /mke2fs cannot hold hard links to symlinks \(1\)/);
  },
);

const isTree = (path: string): boolean => !/^lost\+found$/.test(path);

test('ext4: what the kernel mounts, and fsck finds right', { skip: skip('mke2fs', 'debugfs') }, async () => {
  const image = await artifact('ext4', 'x.ext4');
  await sh(`e2fsck -fn ${quote(image)}`);
  assert.deepEqual(await mounted(image, 'noload', { ...seconds, include: isTree }), []);
});

test(
  'disk: a table, the tree, and a loader of its newest kernel',
  { skip: skip('mke2fs', 'extlinux', 'qemu-img', 'sfdisk') },
  async () => {
    const [raw, packed] = [file('x.img'), file('x.qcow2')];
    const store = stores[0]!;
    await cellarOk(['deploy', 'x:1', `disk:${raw}`, '--set', 'size=200M', '--set', 'cmdline=quiet'], {
      store,
    });
    await cellarOk(['deploy', 'x:1', `disk:${packed}`], { store });
    assert.match(await sh(`sfdisk -d ${quote(raw)}`), /start= *2048, size= *409600, type=83, bootable/);
    assert.match(await sh(`qemu-img info ${quote(packed)}`), /file format: qcow2/);
    const own = (path: string): boolean => isTree(path) && !/^boot$|^boot\/extlinux/.test(path);
    const partition = 'noload,offset=1048576';
    assert.deepEqual(await mounted(raw, partition, { ...seconds, include: own }), []);
    await sh(`mount -o loop,ro,${partition} ${quote(raw)} ${quote(`${raw}.mounted`)}`);
    try {
      const loader = join(`${raw}.mounted`, 'boot/extlinux');
      assert.ok(readdirSync(loader).includes('ldlinux.sys'));
      const menu = readFileSync(join(loader, 'extlinux.conf'), 'utf8');
      assert.match(menu, /LINUX \/boot\/vmlinuz-6\.1\.0-10\n {2}INITRD \/boot\/initrd\.img-6\.1\.0-10\n/);
      const id = readFileSync(raw).readUInt32LE(440).toString(16).padStart(8, '0');
      assert.match(menu, new RegExp(`root=PARTUUID=${id}-01 ro quiet\\n`));
    } finally {
      await sh(`umount ${quote(`${raw}.mounted`)}`);
    }
  },
);

test('oci: a tree as one layer, and an image byte for byte', { skip: skip('skopeo', 'gzip') }, async () => {
  const [first, second] = [file('layout'), file('copied')];
  const [store, other] = stores as [string, string];
  const refused = await cellar(['deploy', 'x:1', `oci:${first}`], { store });
  assert.match(refused.stderr, /E_UNSUPPORTED.*a layer cannot hold \/odd\/\.wh\.whiteout-like/);
  await cellarOk(['import', tree.root, 'layer:1', '--exclude', '.wh.*'], { store });
  await cellarOk(['deploy', 'layer:1', `oci:${first}`], { store });
  const inspected = JSON.parse(await sh(`skopeo inspect oci:${quote(first)}:1`)) as { Layers: string[] };
  const layer = inspected.Layers[0]!.replace('sha256:', '');
  await cellarOk(['deploy', 'layer:1', `tar:${file('layer.tar')}`], { store });
  await sh(`gzip -dc ${quote(join(first, 'blobs/sha256', layer))} | cmp - ${quote(file('layer.tar'))}`);
  await cellarOk(['pull', `oci:${first}`, 'image:1'], { store: other });
  await cellarOk(['deploy', 'image:1', `oci:${second}`], { store: other });
  await sh(`diff -r ${quote(first)}/ ${quote(second)}/`);
});

test('a program that is not there is named, with its package', async () => {
  const done = await cellar(['deploy', 'x:1', `squashfs:${file('none.squashfs')}`], {
    store: stores[0]!,
    under: ['env', `PATH=${file('empty')}`],
  });
  assert.match(done.stderr, /E_MISSING_TOOL.*tar2sqfs[^]*apt-get install squashfs-tools-ng/);
});
