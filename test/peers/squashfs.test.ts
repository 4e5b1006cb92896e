/** A squashfs image becomes the tree that unsquashfs makes of it: every stat field, xattr and byte. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { isCellarError } from '../../src/core/errors.ts';
import { squashfsToTar } from '../../src/source/squashfs.ts';
import { cellarOk } from '../support/cellar.ts';
import { compareTrees } from '../support/compare.ts';
import { childProcesses } from '../support/packers.ts';
import { needs, quote, sh } from '../support/run.ts';
import { makeScratch } from '../support/scratch.ts';
import { buildTree } from '../support/tree.ts';

const programs = ['mksquashfs', 'unsquashfs', 'sqfs2tar', 'tar', 'getfattr'];
const never = new AbortController().signal;

describe('squashfs', { skip: needs({ programs, root: true }) }, () => {
  test('squashfs → store → tar → GNU tar equals unsquashfs', async () => {
    using scratch = makeScratch('squashfs');
    const file = (name: string): string => join(scratch.path, name);
    using tree = buildTree({ files: 300, seed: 21 });
    const listener = createServer().listen(join(tree.root, 'socket'));
    await pack(tree.root, file('x.squashfs'), '-comp zstd');
    listener.close();
    const store = file('store');
    await cellarOk(['import', '-', 'x'], { store, input: await tarOf(file('x.squashfs')) });
    await cellarOk(['export', 'x', file('out.tar')], { store });
    mkdirSync(file('ours'));
    await sh(
      `tar -C ${quote(file('ours'))} --numeric-owner --xattrs --xattrs-include='*' -xpf ${quote(file('out.tar'))}
       unsquashfs -quiet -no-progress -d ${quote(file('theirs'))} ${quote(file('x.squashfs'))} >/dev/null
       rm ${quote(file('theirs/socket'))}
       touch -r ${quote(file('ours'))} ${quote(file('theirs'))}`,
    );
    assert.deepEqual(await compareTrees(file('theirs'), file('ours')), []);
  });

  test('a broken image is refused, and leaves no process', async () => {
    using scratch = makeScratch('squashfs');
    const image = join(scratch.path, 'x.squashfs');
    mkdirSync(join(scratch.path, 'tree'));
    writeFileSync(join(scratch.path, 'tree/a'), Buffer.alloc(3 << 20, 'content'));
    await pack(join(scratch.path, 'tree'), image, '-noD -noI -noX -noF');
    const whole = readFileSync(image);
    const refused = (error: unknown): boolean => isCellarError(error, 'E_SQUASHFS_CORRUPT');
    for (const tenth of [0, 1, 5, 9]) {
      truncateSync(image, Math.floor((whole.length * tenth) / 10));
      await assert.rejects(tarOf(image), refused, `cut at ${tenth} tenths`);
      writeFileSync(image, whole);
    }
    writeFileSync(image, '<html></html>');
    await assert.rejects(tarOf(image), refused);
    await assert.rejects(tarOf(join(scratch.path, 'nothing')), refused);
    assert.deepEqual(childProcesses(), []);
  });

  test('who stops early, by will or by signal, leaves no process', async () => {
    using scratch = makeScratch('squashfs');
    const image = join(scratch.path, 'x.squashfs');
    mkdirSync(join(scratch.path, 'tree'));
    writeFileSync(join(scratch.path, 'tree/a'), Buffer.alloc(8 << 20));
    await pack(join(scratch.path, 'tree'), image, '');
    for await (const chunk of squashfsToTar(image, never)) if (chunk.length > 0) break;
    const controller = new AbortController();
    const stopped = (async () => {
      for await (const chunk of squashfsToTar(image, controller.signal))
        if (chunk.length > 0) controller.abort();
    })();
    await assert.rejects(stopped, (error) => isCellarError(error, 'E_CANCELLED'));
    assert.deepEqual(childProcesses(), []);
  });
});

test('without the program it is named, with its package', async () => {
  const path = process.env['PATH'];
  process.env['PATH'] = '/nonexistent';
  try {
    await assert.rejects(tarOf('/x.squashfs'), (error) => {
      assert.ok(isCellarError(error, 'E_MISSING_TOOL'));
      assert.match(error.hint!, /squashfs-tools-ng/);
      return true;
    });
  } finally {
    process.env['PATH'] = path;
  }
});

async function pack(tree: string, image: string, options: string): Promise<void> {
  await sh(`mksquashfs ${quote(tree)} ${quote(image)} -quiet -no-progress ${options}`);
}

async function tarOf(image: string): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(squashfsToTar(image, never)));
}
