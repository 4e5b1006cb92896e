/**
 * Nothing is lost on the way through: a tree imported (as a directory, as a tar of GNU tar), exported and unpacked
 * by GNU tar equals the original in every stat field, xattr and byte; and how a tree was packed does not matter.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cellar, cellarOk } from '../support/cellar.ts';
import { compareTrees, type Field } from '../support/compare.ts';
import { debianRoot } from '../support/debian-root.ts';
import { hasPrograms, needs, quote, sh, privileged } from '../support/run.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { buildTree, type TestTree } from '../support/tree.ts';

const skip = needs({ programs: ['tar', 'getfattr'] });
const keep = `--numeric-owner --xattrs --xattrs-include='*' --acls`;
// Without root a file that is not ours becomes ours.
const ignore: readonly Field[] = privileged ? [] : ['uid', 'gid'];

/** Unpacks with GNU tar and tells what differs from `original`. */
async function unpackedDiffers(
  original: string,
  archive: string,
  also: readonly 'sparse'[] = [],
): Promise<string[]> {
  using target = makeScratch('unpacked');
  mkdirSync(join(target.path, 'x'));
  const [suffix, program] = archive.endsWith('.zst') ? ['.zst', '--zstd'] : ['', ''];
  assert.ok(archive.endsWith(suffix));
  await sh(`tar -C ${quote(join(target.path, 'x'))} ${program} ${keep} -xpf ${quote(archive)}`);
  return await compareTrees(original, join(target.path, 'x'), { ignore, also });
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

describe('an odd tree', { skip }, () => {
  let scratch: Scratch;
  let tree: TestTree;
  let store: string;
  before(() => {
    scratch = makeScratch('fidelity');
    tree = buildTree({ files: 400, seed: 11, packable: true });
    store = join(scratch.path, 'store');
  });
  after(() => {
    tree[Symbol.dispose]();
    scratch[Symbol.dispose]();
  });

  test('directory → store → tar → GNU tar', async () => {
    using complete = buildTree({ files: 300, seed: 12 });
    await cellarOk(['import', complete.root, 'complete'], { store });
    const archive = join(scratch.path, 'directory.tar');
    await cellarOk(['export', 'complete', archive], { store });
    assert.deepEqual(await unpackedDiffers(complete.root, archive), []);
  });

  test('GNU tar → store → tar → GNU tar', async () => {
    const packed = join(scratch.path, 'gnu.tar');
    await sh(`tar -C ${quote(tree.root)} ${keep} -cf ${quote(packed)} .`);
    await cellarOk(['import', packed, 'from-tar'], { store });
    const archive = join(scratch.path, 'tar.tar');
    await cellarOk(['export', 'from-tar', archive], { store });
    assert.deepEqual(await unpackedDiffers(tree.root, archive), []);
  });

  test('a sparse archive (GNU and PAX forms) is the same tree, and holes stay out of a copy checkout', async () => {
    // A store of its own: content that came first without holes has none.
    const store = join(scratch.path, 'sparse-store');
    const plain = await cellarOk(['import', tree.root, 'plain'], { store });
    for (const form of [
      '--format=gnu -S',
      '--format=pax -S',
      '--format=pax -S --sparse-version=0.0',
      '--format=pax -S --sparse-version=0.1',
    ]) {
      const packed = join(scratch.path, 'sparse.tar');
      const attributes = form.includes('pax') ? keep : '--numeric-owner';
      await sh(`tar -C ${quote(tree.root)} ${attributes} ${form} -cf ${quote(packed)} .`);
      const result = await cellarOk(['import', packed, 'sparse'], { store });
      if (form.includes('pax')) assert.equal(result['tree'], plain['tree'], form);
    }
    const checkout = join(scratch.path, 'checkout');
    await cellarOk(['checkout', '--method', 'copy', 'plain', checkout], { store });
    assert.deepEqual(await compareTrees(tree.root, checkout, { ignore, also: ['sparse'] }), []);
    await cellarOk(['release', checkout], { store });
  });

  test('two exports have the same bytes, whatever way the tree came in', async () => {
    await cellarOk(['import', tree.root, 'from-directory'], { store });
    const archives = ['from-directory', 'from-tar', 'from-directory'].map((name, index) => ({
      name,
      path: join(scratch.path, `again-${index}.tar`),
    }));
    for (const { name, path } of archives) await cellarOk(['export', name, path], { store });
    assert.equal(new Set(archives.map(({ path }) => sha256(path))).size, 1);
    for (const suffix of ['gz', 'zst', 'xz']) {
      if (suffix === 'xz' && !hasPrograms('xz')) continue;
      const packed = [1, 2].map((index) => join(scratch.path, `packed-${index}.tar.${suffix}`));
      for (const path of packed) await cellarOk(['export', 'from-tar', path], { store });
      assert.equal(new Set(packed.map(sha256)).size, 1, suffix);
    }
    const standard = await cellar(['export', 'from-tar', '-'], { store });
    assert.equal(createHash('sha256').update(standard.bytes).digest('hex'), sha256(archives[0]?.path ?? ''));
  });
});

describe('one tree, packed in every way', { skip }, () => {
  const packings: Record<string, string> = {
    'GNU tar, gnu': `tar --format=gnu --numeric-owner -cf "$out" .`,
    'GNU tar, pax': `tar --format=pax --numeric-owner -cf "$out" .`,
    'GNU tar, reversed': `find . -print0 | sort -rz | tar --format=pax --numeric-owner --no-recursion --null -T - -cf "$out"`,
    'bsdtar, pax': `bsdtar --format=pax --numeric-owner -cf "$out" .`,
    'bsdtar, gnutar': `bsdtar --format=gnutar --numeric-owner -cf "$out" .`,
    'Python, pax': `python3 -c 'import sys,tarfile; t=tarfile.open(sys.argv[1],"w",format=tarfile.PAX_FORMAT); t.add("."); t.close()' "$out"`,
    'Python, gnu': `python3 -c 'import sys,tarfile; t=tarfile.open(sys.argv[1],"w",format=tarfile.GNU_FORMAT); t.add("."); t.close()' "$out"`,
    gzip: `tar --format=gnu --numeric-owner -czf "$out" .`,
    xz: `tar --format=gnu --numeric-owner -c . | xz -0 >"$out"`,
    zstd: `tar --format=gnu --numeric-owner -c . | zstd -q >"$out"`,
    bzip2: `tar --format=gnu --numeric-owner -c . | bzip2 >"$out"`,
    lz4: `tar --format=gnu --numeric-owner -c . | lz4 -q >"$out"`,
  };
  const program: Record<string, string> = { bsdtar: 'bsdtar', Python: 'python3', GNU: 'tar' };

  test('has one digest', async (context) => {
    using scratch = makeScratch('packings');
    using tree = buildTree({ files: 150, seed: 5, plain: true, packable: true });
    const store = join(scratch.path, 'store');
    const wanted = (await cellarOk(['import', tree.root, 'tree'], { store }))['tree'];
    for (const [name, script] of Object.entries(packings)) {
      const first = name.split(/[ ,]/)[0] ?? '';
      const tool = program[first] ?? first;
      await context.test(name, { skip: needs({ programs: [tool] }) }, async () => {
        const out = join(scratch.path, `packed`);
        await sh(script, { cwd: tree.root, env: { out } });
        assert.equal((await cellarOk(['import', out, 'tree'], { store }))['tree'], wanted);
        const piped = await cellarOk(['import', '-', 'tree'], { store, input: readFileSync(out) });
        assert.equal(piped['tree'], wanted, 'from standard input');
      });
    }
  });

  test('has one digest with nanoseconds, xattrs and ACLs, in pax of GNU tar and of bsdtar', async (context) => {
    using scratch = makeScratch('packings');
    using tree = buildTree({ files: 100, seed: 6, packable: true });
    const store = join(scratch.path, 'store');
    const wanted = (await cellarOk(['import', tree.root, 'tree'], { store }))['tree'];
    const rich: Record<string, string> = {
      tar: `tar ${keep} --format=pax -cf "$out" .`,
      bsdtar: `bsdtar --format=pax --numeric-owner --xattrs --acls -cf "$out" .`,
    };
    for (const [tool, script] of Object.entries(rich)) {
      await context.test(tool, { skip: needs({ programs: [tool] }) }, async () => {
        const out = join(scratch.path, 'packed');
        await sh(script, { cwd: tree.root, env: { out } });
        const packed = await cellarOk(['import', out, 'packed'], { store });
        const { stdout } = await cellar(['diff', 'tree', 'packed'], { store });
        assert.equal(packed['tree'], wanted, stdout);
      });
    }
  });
});

describe('a Debian root file system', { skip }, () => {
  let scratch: Scratch;
  let root: string;
  let store: string;
  before(async () => {
    scratch = makeScratch('debian');
    root = (await debianRoot()).path;
    store = join(scratch.path, 'store');
  });
  after(() => scratch?.[Symbol.dispose]());

  test('directory → store → tar → GNU tar', async () => {
    await cellarOk(['import', root, 'debian'], { store });
    const archive = join(scratch.path, 'debian.tar');
    await cellarOk(['export', 'debian', archive], { store });
    assert.deepEqual(await unpackedDiffers(root, archive), []);
  });

  test('GNU tar → store → tar.zst → GNU tar, and the same tree as from the directory', async () => {
    const packed = join(scratch.path, 'gnu.tar');
    await sh(`tar -C ${quote(root)} ${keep} --one-file-system -cf ${quote(packed)} .`);
    const fromTar = await cellarOk(['import', packed, 'from-tar'], { store });
    const fromDirectory = await cellarOk(['show', 'debian'], { store });
    const diff = await cellarOk(['diff', 'debian', 'from-tar'], { store });
    assert.deepEqual([diff['added'], diff['removed'], diff['changed']], [[], [], []]);
    assert.ok(JSON.stringify(fromDirectory).includes(String(fromTar['tree'])));
    const archive = join(scratch.path, 'again.tar.zst');
    await cellarOk(['export', 'from-tar', archive], { store });
    assert.ok(existsSync(archive));
    assert.deepEqual(await unpackedDiffers(root, archive), []);
    assert.equal((await cellar(['fsck'], { store })).code, 0);
  });
});
