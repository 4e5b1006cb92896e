/**
 * Two hundred writable checkouts of one image at the same time: each keeps its own changes, also those made through one
 * name of a hard link and those that change metadata alone; all come back after their mounts are gone, as after a reboot;
 * the kernel has nothing to complain about; and at the end nothing is left of them.
 */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, lstatSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { checkout } from '../../src/ops/checkout.ts';
import { checkouts } from '../../src/ops/checkouts.ts';
import { mount } from '../../src/ops/mount.ts';
import { release } from '../../src/ops/release.ts';
import { kept, reference, storeTree, traces } from '../support/checkouts.ts';
import { needsRoot } from '../support/filesystem.ts';
import { makeLoopFilesystem } from '../support/loopfs.ts';
import { sh } from '../support/run.ts';
import { buildTree } from '../support/tree.ts';

const count = 200;

describe('two hundred writable checkouts of one image', { skip: needsRoot }, () => {
  test('live side by side, come back, and go', { timeout: 300_000 }, async () => {
    await using disk = await makeLoopFilesystem({ type: 'ext4', size: 1 << 30 });
    const before = kernelLog();
    const tree = buildTree({ files: 100, seed: 41, parent: disk.mount });
    const { context, work } = await storeTree(disk.mount, tree.root);
    const directories = Array.from({ length: count }, (_, index) => join(work, `${index}`));

    for (const directory of directories) {
      const result = await checkout(context, { reference, directory, writable: true });
      assert.equal(result.method, 'composefs');
    }
    assert.equal(erofsMounts(disk.mount), 1);
    for (const [index, directory] of directories.entries()) change(directory, index);
    for (const [index, directory] of directories.entries()) check(directory, index);
    for (const row of await checkouts(context)) assert.equal(row.state, 'ready');

    // As after a reboot: all mounts are gone, the rows and the uppers are there.
    await sh(`awk '{print $2}' /proc/self/mounts | grep '^${disk.mount}/' | tac | xargs umount`);
    assert.deepEqual(traces(disk.mount), []);
    for (const row of await checkouts(context)) assert.equal(row.state, 'unmounted');
    const first = await mount(context);
    assert.deepEqual([first.mounted, first.failed], [count, 0], JSON.stringify(first.mounts[0]));
    assert.equal((await mount(context)).mounted, 0);
    assert.equal(erofsMounts(disk.mount), 1);
    for (const [index, directory] of directories.entries()) check(directory, index);

    for (const directory of directories) await release(context, { directory, force: true });
    assert.deepEqual(traces(disk.mount), []);
    assert.deepEqual(kept(context.storeRoot), []);
    assert.deepEqual(newWarnings(before), []);
  });
});

function change(directory: string, index: number): void {
  appendFileSync(join(directory, 'odd/links/b-first'), `written ${index}`);
  // Metadata alone is copied up; then the content follows through the copy.
  chmodSync(join(directory, 'odd/mode-777'), 0o700);
  chmodSync(join(directory, 'odd/mode-1644'), 0o600);
  appendFileSync(join(directory, 'odd/mode-1644'), ` and ${index}`);
  writeFileSync(join(directory, 'odd/added'), `added ${index}`);
  unlinkSync(join(directory, 'odd/-leading-dash'));
}

function check(directory: string, index: number): void {
  const read = (name: string): string => readFileSync(join(directory, 'odd', name), 'utf8');
  for (const name of ['links/a-earlier', 'links/b-first', 'links/c-later', 'zz-elsewhere'])
    assert.equal(read(name), `linked contentwritten ${index}`, `${directory} ${name}`);
  assert.equal(lstatSync(join(directory, 'odd/links/b-first')).nlink, 4);
  assert.equal(lstatSync(join(directory, 'odd/mode-777')).mode & 0o7777, 0o700);
  assert.equal(read('mode-777'), `mode ${0o777}`);
  assert.equal(lstatSync(join(directory, 'odd/mode-1644')).mode & 0o7777, 0o600);
  assert.equal(read('mode-1644'), `mode ${0o1644} and ${index}`);
  assert.equal(read('added'), `added ${index}`);
  assert.throws(() => read('-leading-dash'), /ENOENT/);
}

function erofsMounts(below: string): number {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  return lines.filter((line) => line.includes(' - erofs ') && line.includes(below)).length;
}

function kernelLog(): readonly string[] {
  const { status, stdout } = spawnSync('dmesg', ['--level=emerg,alert,crit,err,warn'], {
    maxBuffer: 1 << 26,
  });
  return status === 0 ? stdout.toString().split('\n') : [];
}

/** Lines about overlays, EROFS and the file system below that were not there before. */
function newWarnings(before: readonly string[]): string[] {
  const known = new Set(before);
  return kernelLog().filter((line) => !known.has(line) && /overlay|erofs|EXT4-fs|WARNING|BUG/.test(line));
}
